package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/metacircular/mcp/edge/proxy"
)

// seen starts a container that notes each request that reaches it, in full.
func seen(t testing.TB) (address string, requests chan string) {
	requests = make(chan string, 16)
	return upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the edge has broken it off
		}
		requests <- fmt.Sprintf("%s %s %v %q", r.Method, r.RequestURI, r.TransferEncoding, body)
		_, _ = io.WriteString(w, "ok")
	}), requests
}

func TestARequestIsOneRequestToTheContainerToo(t *testing.T) {
	container, requests := seen(t)
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", container))
	address := f.listen(80)
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n"
	post := func(headers ...string) string {
		return lines(append(append([]string{"POST /one HTTP/1.1", "Host: shop.example"}, headers...), "", "")...)
	}
	for name, c := range map[string]struct {
		text   string
		status int
		want   string // what the container has seen, if anything
	}{
		"Content-Length and Transfer-Encoding": {
			post("Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", 200, `POST /one [chunked] ""`},
		"two lengths":                 {post("Content-Length: 5", "Content-Length: 6") + "hello" + smuggled, 400, ""},
		"a list of lengths":           {post("Content-Length: 5, 6") + "hello" + smuggled, 400, ""},
		"a length with a sign":        {post("Content-Length: +5") + "hello" + smuggled, 400, ""},
		"a negative length":           {post("Content-Length: -5") + smuggled, 400, ""},
		"a hexadecimal length":        {post("Content-Length: 0x5") + "hello" + smuggled, 400, ""},
		"an unknown encoding":         {post("Transfer-Encoding: xchunked") + smuggled, 501, ""},
		"two encodings":               {post("Transfer-Encoding: chunked, identity") + "0\r\n\r\n" + smuggled, 501, ""},
		"an encoding twice":           {post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n" + smuggled, 501, ""},
		"an encoding with a tab":      {post("Transfer-Encoding: \x0bchunked") + "0\r\n\r\n" + smuggled, 400, ""},
		"a space before the colon":    {post("Transfer-Encoding : chunked") + "0\r\n\r\n" + smuggled, 400, ""},
		"a folded header":             {post("X-A: b", " Transfer-Encoding: chunked"), 200, `POST /one [] ""`},
		"a header without a name":     {post(": x") + smuggled, 400, ""},
		"a header that ends in CR":    {post("X-A: b\rTransfer-Encoding: chunked") + smuggled, 400, ""},
		"a NUL in a header":           {post("X-A: b\x00c") + smuggled, 400, ""},
		"a broken chunk":              {post("Transfer-Encoding: chunked") + "zz\r\nhello\r\n0\r\n\r\n" + smuggled, 400, ""},
		"a chunk without its end":     {post("Transfer-Encoding: chunked") + "5\r\nhelloX0\r\n\r\n" + smuggled, 400, ""},
		"two hosts":                   {"GET / HTTP/1.1\r\nHost: shop.example\r\nHost: blog.example\r\n\r\n", 400, ""},
		"no host":                     {"GET / HTTP/1.1\r\n\r\n", 400, ""},
		"HTTP/0.9":                    {"GET /\r\n\r\n", 400, ""},
		"a version that there is not": {"GET / HTTP/1.9\r\nHost: shop.example\r\n\r\n", 200, `GET / [] ""`},
		"HTTP/3 as text":              {"GET / HTTP/3.0\r\nHost: shop.example\r\n\r\n", 505, ""},
		"a method with a space":       {"GE T / HTTP/1.1\r\nHost: shop.example\r\n\r\n", 400, ""},
	} {
		response, body := raw(t, address, c.text)
		require.Equal(t, c.status, response.StatusCode, "%s: %s", name, body)
		if c.want != "" {
			require.Equal(t, c.want, receive(t, requests), name)
		}
		get(t, address, "shop.example", "/after")
		require.Equal(t, `GET /after [] ""`, receive(t, requests), name)
	}
	require.Empty(t, requests)
}

func TestALineMayEndWithoutCR(t *testing.T) {
	// net/http takes a bare LF for the end of a line, as RFC 9112 lets it; the container
	// receives lines that end in CR LF.
	container, requests := seen(t)
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", container))
	response, _ := raw(t, f.listen(80), "POST / HTTP/1.1\nHost: shop.example\nX-A: b\nContent-Length: 5\n\nhello")
	require.Equal(t, 200, response.StatusCode)
	require.Equal(t, `POST / [] "hello"`, receive(t, requests))
}

func TestHeadersOfHTTP2WithLineBreaksAreRefused(t *testing.T) {
	container, requests := seen(t)
	f := newFront(t, proxy.Options{})
	f.publish("shop", secure("shop.example", "", container))
	address := f.listenTLS(443)
	for _, field := range [][2]string{
		{"x-a", "b\r\nX-Smuggled: 1"}, {"x-a", "b\nc"}, {"x-a", "b\x00c"}, {"x-a: b\r\nx-b", "c"}, {"X-Upper", "b"},
		{"transfer-encoding", "chunked"}, {"connection", "x"}, {":path", "/two"},
	} {
		c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, ServerName: "shop.example", NextProtos: []string{"h2"}})
		require.NoError(t, err)
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = io.WriteString(c, http2.ClientPreface)
		require.NoError(t, err)
		framer := http2.NewFramer(c, c)
		require.NoError(t, framer.WriteSettings())
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "shop.example"}, {":path", "/"}, field} {
			require.NoError(t, encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
		}
		require.NoError(t, framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true,
		}))
		for refused := false; !refused; {
			frame, err := framer.ReadFrame()
			require.NoError(t, err, "%q", field)
			switch frame := frame.(type) {
			case *http2.RSTStreamFrame, *http2.GoAwayFrame:
				refused = true
			case *http2.HeadersFrame: // an answer, which must be one of the edge
				fields, err := hpack.NewDecoder(4096, nil).DecodeFull(frame.HeaderBlockFragment())
				require.NoError(t, err)
				require.Equal(t, hpack.HeaderField{Name: ":status", Value: "400"}, fields[0], "%q", field)
				refused = true
			}
		}
		c.Close()
	}
	require.Empty(t, requests)
}

func TestAClientCannotDropWhatTheContainerMustSee(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", heard(t)))
	got := headers(t, f.listen(80), "Authorization: Basic eDp5", "Cookie: a=b", "X-Mine: 1", "Keep-Alive: 5",
		"Proxy-Authorization: Basic eDp5", "TE: trailers, deflate", "Proxy: http://evil.example",
		"X_Forwarded_For: 198.51.100.1", "X_Real_IP: 198.51.100.1", "X-Forwarded_Proto: https", "Content_Length: 7",
		"Transfer_Encoding: chunked", "Api_Key: kept",
		"Connection: close, X-Forwarded-For, x-real-ip, Authorization, Cookie, Host, Content-Length, X-Mine")
	require.Equal(t, []string{"127.0.0.1"}, got["X-Forwarded-For"])
	require.Equal(t, []string{"127.0.0.1"}, got["X-Real-Ip"])
	require.Equal(t, []string{"Basic eDp5"}, got["Authorization"])
	require.Equal(t, []string{"a=b"}, got["Cookie"])
	require.Equal(t, []string{"kept"}, got["Api_key"])
	require.Equal(t, []string{"trailers"}, got["Te"])
	for _, gone := range []string{
		"Connection", "Keep-Alive", "X-Mine", "Proxy-Authorization", "Proxy", "X_forwarded_for", "X_real_ip",
		"X-Forwarded_proto", "Content_length", "Transfer_encoding", "User-Agent",
	} {
		require.NotContains(t, got, gone)
	}
}

func TestTheAnswerKeepsTheConnectionOfTheInsideToItself(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, lines("HTTP/1.1 200 OK", "Connection: x-hop, Content-Length", "X-Hop: 1", "Content-Length: 0",
			`Alt-Svc: h3=":4433"`, "Proxy-Authenticate: Basic", "X-Kept: 1", "", ""))
	})))
	response, _ := get(t, f.listen(80), "shop.example", "/")
	require.Equal(t, "1", response.Header.Get("X-Kept"))
	for _, gone := range []string{"X-Hop", "Alt-Svc", "Proxy-Authenticate", "Connection"} {
		require.Empty(t, response.Header.Get(gone), gone)
	}
}

func TestOversizedHeaders(t *testing.T) {
	container, requests := seen(t)
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", container))
	address := f.listen(80)
	response, _ := raw(t, address, lines("GET / HTTP/1.1", "Host: shop.example", "X-A: "+strings.Repeat("a", 80<<10), "", ""))
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
	response, _ = raw(t, address, lines("GET /"+strings.Repeat("a", 80<<10)+" HTTP/1.1", "Host: shop.example", "", ""))
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
	require.Empty(t, requests)
}

func TestSlowHeadersEndTheConnection(t *testing.T) {
	f := newFront(t, proxy.Options{})
	address := f.listen(80, func(s *http.Server) { s.ReadHeaderTimeout = 100 * time.Millisecond })
	c := dial(t, address)
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.example\r\nX-")
	require.NoError(t, err)
	said, err := io.ReadAll(c)
	require.NoError(t, err)
	require.NotContains(t, string(said), "HTTP/1.1 2")
}

func TestHostsAndTargets(t *testing.T) {
	container, requests := seen(t)
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", container))
	address := f.listen(80)
	for _, c := range []struct {
		line, host string
		status     int
	}{
		{"GET / HTTP/1.1", "shop.example", 200},
		{"GET / HTTP/1.1", "shop.example.:80", 200},
		{"GET / HTTP/1.1", "unknown.example", 404},
		{"GET / HTTP/1.1", "127.0.0.1", 404},
		{"GET / HTTP/1.1", "[::1]:80", 404},
		{"GET / HTTP/1.1", "", 404},
		{"GET / HTTP/1.1", "user@shop.example", 400},
		{"GET / HTTP/1.1", "shop.example:x", 400},
		{"GET / HTTP/1.1", "shop.example:", 400},
		{"GET / HTTP/1.1", "shop.example:99999", 400},
		{"GET / HTTP/1.1", "shop.example:80:81", 400},
		{"GET / HTTP/1.1", "shop.example:-1", 400},
		{"GET / HTTP/1.1", "shop.example, blog.example", 400},
		{"GET / HTTP/1.1", "shop.example/", 400},
		{"GET / HTTP/1.1", "shop..example", 400},
		{"GET / HTTP/1.1", ".shop.example", 400},
		{"GET / HTTP/1.1", "shop.example%00", 400},
		{"GET / HTTP/1.1", "[::1%25eth0]", 400},
		{"GET / HTTP/1.1", strings.Repeat("a", 300), 400},
		{"GET http://shop.example/x HTTP/1.1", "other.example", 200}, // RFC 9112, 3.2.2: the target's host counts
		{"GET http://other.example/x HTTP/1.1", "shop.example", 404},
		{"GET http://user:secret@shop.example/x HTTP/1.1", "shop.example", 400},
		{"GET https://shop.example/x HTTP/1.1", "shop.example", 200},
		{"CONNECT shop.example:22 HTTP/1.1", "shop.example:22", 405},
		{"CONNECT /x HTTP/1.1", "shop.example", 405},
		{"TRACE / HTTP/1.1", "shop.example", 405},
		{"GET shop.example HTTP/1.1", "shop.example", 400},
		{"GET * HTTP/1.1", "shop.example", 400},
		{"GET /%zz HTTP/1.1", "shop.example", 400},
		{"GET /a%00b HTTP/1.1", "shop.example", 400},
	} {
		response, body := raw(t, address, lines(c.line, "Host: "+c.host, "", ""))
		require.Equal(t, c.status, response.StatusCode, "%s, host %q: %s", c.line, c.host, body)
		if c.status == 200 {
			receive(t, requests)
		}
	}
	require.Empty(t, requests)
}

func TestAServerNameThatIsNotTheHost(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.publish("shop", secure("shop.example", "", named(t, "shop")), secure("*.shop.example", "", named(t, "tenant")),
		secure("blog.example", "", named(t, "blog")))
	address := f.listenTLS(443)
	for _, http2 := range []bool{false, true} {
		for _, c := range []struct {
			name, host string
			status     int
		}{
			{"shop.example", "shop.example", 200},
			{"shop.example", "SHOP.example.:443", 200},
			{"shop.example", "blog.example", 421},
			{"a.shop.example", "a.shop.example", 200},
			{"a.shop.example", "b.shop.example", 421},
			{"shop.example", "unknown.example", 421},
		} {
			response, body := send(t, client(t, c.name, http2), "https://"+address+"/", c.host)
			require.Equal(t, c.status, response.StatusCode, "%+v: %s", c, body)
		}
	}
}

func TestPathsThatServersReadInDifferentWays(t *testing.T) {
	f := newFront(t, proxy.Options{})
	admin := plain("shop.example", "/admin", named(t, "admin"))
	admin.BasicAuth = map[string]string{"u": "$2a$04$invalid"}
	f.publish("shop", plain("shop.example", "", named(t, "site")), admin,
		plain("api.example", "/api", named(t, "api")), plain("one.example", "", named(t, "one")))
	address := f.listen(80)
	for _, c := range []struct {
		host, path string
		status     int
	}{
		{"shop.example", "/admin/x", 401},
		{"shop.example", "/%61dmin/x", 401},
		{"shop.example", "/x/../admin", 400},
		{"shop.example", "/./admin", 400},
		{"shop.example", "//admin", 400},
		{"shop.example", "/x//../../admin", 400},
		{"shop.example", "/x/%2e%2e/admin", 400},
		{"shop.example", "/x/%2E./admin", 400},
		{"shop.example", "/x%2f..%2fadmin", 400},
		{"shop.example", "/%2fadmin", 400},
		{"shop.example", "/admin%2fx", 400},
		{"shop.example", "/x/..%5cadmin", 400},
		{"shop.example", `/x\..\admin`, 400},
		{"shop.example", `/\admin`, 400},
		{"shop.example", "/x/%252e%252e/admin", 400},
		{"shop.example", "/x%252f..%252fadmin", 400},
		{"shop.example", "/%2561dmin", 400},
		{"shop.example", "/admin;a=b", 400},
		{"shop.example", "/;a/admin", 400},
		{"shop.example", "/x/..;/admin", 400},
		{"shop.example", "/admin/../x", 400},
		{"shop.example", "/admin/..%2f", 400},
		{"shop.example", "/admin/..", 400},
		{"shop.example", "/admin%00", 400},
		{"shop.example", "/admins", 200},
		{"shop.example", "/a//b;c/../d%2fe/%20", 200},
		{"shop.example", "/x/.well-known/y", 200},
		{"shop.example", "/100%25", 200},
		{"api.example", "/api/../secret", 400},
		{"api.example", "/api/%2e%2e/secret", 400},
		{"api.example", "/api/..%2fsecret", 400},
		{"api.example", "/api/a;b/c", 200},
		{"api.example", "/x", 404},
		{"one.example", "/a/../b//c%2fd;e", 200},
	} {
		response, body := raw(t, address, lines("GET "+c.path+" HTTP/1.1", "Host: "+c.host, "", ""))
		require.Equal(t, c.status, response.StatusCode, "%s%s: %s", c.host, c.path, body)
		if c.status == 200 {
			require.True(t, strings.HasSuffix(body, " "+strings.ReplaceAll(c.path, `\`, "%5C")), body)
		}
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", named(t, "site")))
	c := dial(t, f.listen(80))
	var text strings.Builder
	for i := range 20 {
		fmt.Fprintf(&text, "GET /%d HTTP/1.1\r\nHost: shop.example\r\n\r\n", i)
	}
	_, err := io.WriteString(c, text.String())
	require.NoError(t, err)
	r := bufio.NewReader(c)
	for i := range 20 {
		_, body := answer(t, r)
		require.Equal(t, fmt.Sprintf("site GET /%d", i), body)
	}
}
