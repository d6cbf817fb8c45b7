package proxy_test

import (
	"bufio"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/proxy"
)

func TestCompression(t *testing.T) {
	text := string(pattern(100 << 10))
	var set func(h http.Header)
	status, size := 200, len(text)
	f := newFront(t, proxy.Options{})
	r := plain("shop.example", "", upstream(t, func(w http.ResponseWriter, r *http.Request) {
		set(w.Header())
		if r.URL.Path != "/chunks" {
			w.Header().Set("Content-Length", strconv.Itoa(size))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text[:size])
	}))
	r.Compress = true
	f.publish("shop", r, plain("plain.example", "", r.Upstreams[0]))
	address := f.listen(80)
	kind := func(values ...string) func(http.Header) {
		return func(h http.Header) {
			h.Set("Content-Type", values[0])
			for i := 1; i < len(values); i += 2 {
				h.Set(values[i], values[i+1])
			}
		}
	}
	for _, c := range []struct {
		name, host, path, accept string
		status, size             int
		set                      func(http.Header)
		want                     bool
	}{
		{"text", "shop.example", "/", "gzip", 200, len(text), kind("text/html; charset=utf-8"), true},
		{"a stream", "shop.example", "/chunks", "br, gzip;q=0.5", 200, len(text), kind("application/json"), true},
		{"any coding", "shop.example", "/", "*", 200, len(text), kind("image/svg+xml"), true},
		{"an error page", "shop.example", "/", "gzip", 404, len(text), kind("text/plain"), true},
		{"not asked for by the route", "plain.example", "/", "gzip", 200, len(text), kind("text/html"), false},
		{"not accepted", "shop.example", "/", "br", 200, len(text), kind("text/html"), false},
		{"refused", "shop.example", "/", "gzip;q=0, *", 200, len(text), kind("text/html"), false},
		{"a picture", "shop.example", "/", "gzip", 200, len(text), kind("image/png"), false},
		{"small", "shop.example", "/", "gzip", 200, 500, kind("text/html"), false},
		{"events", "shop.example", "/chunks", "gzip", 200, len(text), kind("text/event-stream"), false},
		{"encoded", "shop.example", "/", "gzip", 200, len(text), kind("text/html", "Content-Encoding", "br"), false},
		{"no-transform", "shop.example", "/", "gzip", 200, len(text), kind("text/html", "Cache-Control", "public, no-transform"), false},
		{"a part", "shop.example", "/", "gzip", 206, len(text), kind("text/html", "Content-Range", "bytes 0-9/10"), false},
	} {
		set, status, size = c.set, c.status, c.size
		response, body := get(t, address, c.host, c.path, "Accept-Encoding", c.accept)
		require.Equal(t, c.status, response.StatusCode, c.name)
		if !c.want {
			require.NotEqual(t, "gzip", response.Header.Get("Content-Encoding"), c.name)
			require.Equal(t, text[:size], body, c.name)
			continue
		}
		require.Equal(t, "gzip", response.Header.Get("Content-Encoding"), c.name)
		require.Equal(t, "Accept-Encoding", response.Header.Get("Vary"), c.name)
		require.Less(t, len(body), len(text)/2, c.name)
		reader, err := gzip.NewReader(strings.NewReader(body))
		require.NoError(t, err)
		got, err := io.ReadAll(reader)
		require.NoError(t, err)
		require.Equal(t, text, string(got), c.name)
	}
	set, status, size = kind("text/html", "ETag", `"a"`, "Vary", "Cookie"), 200, len(text)
	response, _ := get(t, address, "shop.example", "/", "Accept-Encoding", "gzip")
	require.Equal(t, `W/"a"`, response.Header.Get("Etag"))
	require.Equal(t, []string{"Cookie", "Accept-Encoding"}, response.Header["Vary"])
	response, _ = get(t, address, "shop.example", "/", "Accept-Encoding", "br")
	require.Equal(t, `"a"`, response.Header.Get("Etag"))
	require.Equal(t, []string{"Cookie", "Accept-Encoding"}, response.Header["Vary"], "a cache must know in any case")
}

func TestACompressedStreamArrivesPieceByPiece(t *testing.T) {
	next := make(chan string)
	f := newFront(t, proxy.Options{})
	r := plain("shop.example", "", upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for piece := range next {
			_, _ = io.WriteString(w, piece)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	r.Compress = true
	f.publish("shop", r)
	in := request(t, "GET", "http://"+f.listen(80), nil)
	in.Header.Set("Accept-Encoding", "gzip")
	go func() { next <- "one\n" }()
	response, err := http.DefaultTransport.RoundTrip(in)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, "gzip", response.Header.Get("Content-Encoding"))
	reader, err := gzip.NewReader(response.Body)
	require.NoError(t, err)
	pieces := bufio.NewReader(reader)
	require.Equal(t, "one\n", line(t, pieces))
	next <- "two\n"
	require.Equal(t, "two\n", line(t, pieces))
	close(next)
	_, err = pieces.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}
