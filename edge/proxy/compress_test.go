package proxy_test

import (
	"bufio"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
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
	const gzipped, zstandard, none = "gzip", "zstd", ""
	for _, c := range []struct {
		name, host, path, accept string
		status, size             int
		set                      func(http.Header)
		want                     string
	}{
		{"text", "shop.example", "/", "gzip", 200, len(text), kind("text/html; charset=utf-8"), gzipped},
		{"a stream", "shop.example", "/chunks", "br, gzip;q=0.5", 200, len(text), kind("application/json"), gzipped},
		{"any coding", "shop.example", "/", "*", 200, len(text), kind("image/svg+xml"), gzipped},
		{"an error page", "shop.example", "/", "gzip", 404, len(text), kind("text/plain"), gzipped},
		{"not asked for by the route", "plain.example", "/", "gzip", 200, len(text), kind("text/html"), none},
		{"not accepted", "shop.example", "/", "br", 200, len(text), kind("text/html"), none},
		{"refused", "shop.example", "/", "gzip;q=0, *", 200, len(text), kind("text/html"), none},
		{"a picture", "shop.example", "/", "gzip", 200, len(text), kind("image/png"), none},
		{"small", "shop.example", "/", "gzip", 200, 500, kind("text/html"), none},
		{"events", "shop.example", "/chunks", "gzip", 200, len(text), kind("text/event-stream"), none},
		{"encoded", "shop.example", "/", "gzip", 200, len(text), kind("text/html", "Content-Encoding", "br"), none},
		{"no-transform", "shop.example", "/", "gzip", 200, len(text), kind("text/html", "Cache-Control", "public, no-transform"), none},
		{"a part", "shop.example", "/", "gzip", 206, len(text), kind("text/html", "Content-Range", "bytes 0-9/10"), none},
		{"what browsers send", "shop.example", "/", "gzip, deflate, br, zstd", 200, len(text), kind("text/html"), zstandard},
		{"a stream of zstd", "shop.example", "/chunks", "zstd", 200, len(text), kind("application/json"), zstandard},
		{"gzip rather", "shop.example", "/", "zstd;q=0.5, gzip", 200, len(text), kind("text/html"), gzipped},
		{"zstd rather", "shop.example", "/", "zstd;q=0.9, gzip;q=0.8", 200, len(text), kind("text/html"), zstandard},
		{"zstd refused", "shop.example", "/", "zstd;q=0, gzip;q=0.1", 200, len(text), kind("text/html"), gzipped},
		{"nonsense", "shop.example", "/", "zstd;q=much, ,;", 200, len(text), kind("text/html"), none},
	} {
		set, status, size = c.set, c.status, c.size
		response, body := get(t, address, c.host, c.path, "Accept-Encoding", c.accept)
		require.Equal(t, c.status, response.StatusCode, c.name)
		if c.want == none {
			require.NotContains(t, []string{gzipped, zstandard}, response.Header.Get("Content-Encoding"), c.name)
			require.Equal(t, text[:size], body, c.name)
			continue
		}
		require.Equal(t, c.want, response.Header.Get("Content-Encoding"), c.name)
		require.Equal(t, "Accept-Encoding", response.Header.Get("Vary"), c.name)
		require.Less(t, len(body), len(text)/2, c.name)
		got, err := io.ReadAll(decoder(t, c.want, strings.NewReader(body)))
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

// decoder reads what is compressed.
func decoder(t *testing.T, coding string, from io.Reader) io.Reader {
	t.Helper()
	if coding == "zstd" {
		r, err := zstd.NewReader(from, zstd.WithDecoderMaxWindow(8<<20)) // as browsers have it
		require.NoError(t, err)
		t.Cleanup(r.Close)
		return r
	}
	r, err := gzip.NewReader(from)
	require.NoError(t, err)
	return r
}

func TestACompressedStreamArrivesPieceByPiece(t *testing.T) {
	var next chan string
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
	for _, coding := range []string{"gzip", "zstd"} {
		next = make(chan string)
		pieceByPiece(t, f.listen(80), coding, next)
	}
}

func pieceByPiece(t *testing.T, address, coding string, next chan string) {
	in := request(t, "GET", "http://"+address, nil)
	in.Header.Set("Accept-Encoding", coding)
	go func() { next <- "one\n" }()
	response, err := http.DefaultTransport.RoundTrip(in)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, coding, response.Header.Get("Content-Encoding"))
	pieces := bufio.NewReader(decoder(t, coding, response.Body))
	require.Equal(t, "one\n", line(t, pieces))
	next <- "two\n"
	require.Equal(t, "two\n", line(t, pieces))
	close(next)
	_, err = pieces.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}
