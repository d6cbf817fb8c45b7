package proxy_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/proxy"
	"github.com/metacircular/mcp/internal/fleet"
)

func TestARequestReachesTheRouteOfItsHostAndPath(t *testing.T) {
	f := newFront(t, proxy.Options{})
	stripped := plain("shop.example", "/static", named(t, "static"))
	stripped.Strip = true
	f.publish("shop", plain("shop.example", "", named(t, "site")), plain("shop.example", "/api", named(t, "api")),
		stripped, plain("*.shop.example", "", named(t, "tenant")))
	address := f.listen(80)
	for _, c := range []struct {
		host, path, want string
		status           int
	}{
		{"shop.example", "/", "site GET /", 200},
		{"SHOP.example:8080", "/a%20b?q=1;2&r", "site GET /a%20b?q=1;2&r", 200},
		{"shop.example", "/api", "api GET /api", 200},
		{"shop.example", "/api/x?", "api GET /api/x?", 200},
		{"shop.example", "/apis", "site GET /apis", 200},
		{"shop.example", "/static/a/b?c", "static GET /a/b?c", 200},
		{"shop.example", "/static", "static GET /", 200},
		{"shop.example", "/%73tatic/a%2Fb", "static GET /a%2Fb", 200},
		{"eu.shop.example", "/", "tenant GET /", 200},
		{"a.b.shop.example", "/", "404 Not Found\nThere is nothing at this address.\n", 404},
		{"blog.example", "/", "404 Not Found\nThere is nothing at this address.\n", 404},
	} {
		response, body := get(t, address, c.host, c.path)
		require.Equal(t, c.want, body, "%s%s", c.host, c.path)
		require.Equal(t, c.status, response.StatusCode)
	}
}

// post returns a POST request to an address, for shop.example.
func post(t testing.TB, address, path string, body io.Reader) *http.Request {
	r, err := http.NewRequest(http.MethodPost, "http://"+address+path, body)
	require.NoError(t, err)
	r.Host = "shop.example"
	return r
}

// heard starts a container that answers with the headers that it has received.
func heard(t testing.TB) string {
	return upstream(t, func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Host", r.Host)
		_ = json.NewEncoder(w).Encode(r.Header)
	})
}

// headers sends a request with raw header lines, and returns what the container heard.
func headers(t testing.TB, address string, header ...string) http.Header {
	response, body := raw(t, address, lines(append(append([]string{"GET / HTTP/1.1", "Host: shop.example"}, header...), "", "")...))
	require.Equal(t, 200, response.StatusCode, body)
	var all http.Header
	require.NoError(t, json.Unmarshal([]byte(body), &all))
	return all
}

func TestOnlyATrustedProxySaysWhoTheClientIs(t *testing.T) {
	claims := []string{
		"X-Forwarded-For: 198.51.100.7, 203.0.113.9, 127.0.0.2", "X-Forwarded-Proto: https", "X-Real-IP: 198.51.100.7",
		"X-Forwarded-Host: other.example", "X-Forwarded-Port: 1", "Forwarded: for=198.51.100.7",
	}
	open := newFront(t, proxy.Options{})
	open.publish("shop", plain("shop.example", "", heard(t)))
	got := headers(t, open.listen(80), claims...)
	require.Equal(t, []string{"127.0.0.1"}, got["X-Forwarded-For"])
	require.Equal(t, []string{"127.0.0.1"}, got["X-Real-Ip"])
	require.Equal(t, []string{"http"}, got["X-Forwarded-Proto"])
	require.Equal(t, []string{"shop.example"}, got["X-Forwarded-Host"])
	require.Equal(t, []string{"shop.example"}, got["Host"])
	require.NotContains(t, got, "X-Forwarded-Port")
	require.NotContains(t, got, "Forwarded")

	behind := newFront(t, proxy.Options{TrustedProxies: prefixes("127.0.0.0/8")})
	behind.publish("shop", plain("shop.example", "", heard(t)))
	got = headers(t, behind.listen(80), claims...)
	require.Equal(t, []string{"198.51.100.7, 203.0.113.9, 127.0.0.2, 127.0.0.1"}, got["X-Forwarded-For"])
	require.Equal(t, []string{"203.0.113.9"}, got["X-Real-Ip"], "what is before the first address that is not trusted is the client's word")
	require.Equal(t, []string{"https"}, got["X-Forwarded-Proto"])
	require.Equal(t, []string{"other.example"}, got["X-Forwarded-Host"])
}

func TestAllowLists(t *testing.T) {
	f := newFront(t, proxy.Options{TrustedProxies: prefixes("127.0.0.0/8")})
	r := plain("shop.example", "", named(t, "site"))
	r.Allow = []string{"203.0.113.0/24", "127.0.0.1/32"}
	f.publish("shop", r)
	address := f.listen(80)
	for header, status := range map[string]int{
		"": 200, "203.0.113.5": 200, "198.51.100.1": 403, "203.0.113.5, 198.51.100.1": 403, "rubbish": 200,
	} {
		response, body := get(t, address, "shop.example", "/", "X-Forwarded-For", header)
		require.Equal(t, status, response.StatusCode, "%q %s", header, body)
	}
}

func TestRedirects(t *testing.T) {
	f := newFront(t, proxy.Options{TrustedProxies: prefixes("127.0.0.0/8"), Listening: func(port int) int { return port + 8000 }})
	www := secure("www.shop.example", "")
	www.Redirect = "shop.example"
	moved := plain("old.example", "")
	moved.Redirect = "new.example"
	other := secure("shop.example", "")
	other.Endpoint.Port, other.Upstreams = 9443, []string{named(t, "other")}
	f.publish("shop", secure("shop.example", "", named(t, "site")), www, moved, other,
		plain("shop.example", "/plain", named(t, "plain")))
	f.publish("any", plain("", "", named(t, "any")))
	http80, http9443 := f.listen(80), f.listen(9443)
	https := f.listenTLS(443)
	for _, c := range []struct{ address, host, path, want string }{
		{http80, "shop.example", "/a%2fb?q=1&r", "https://shop.example/a%2fb?q=1&r"},
		{http80, "Shop.Example:8080", "/a", "https://shop.example:8443/a"},
		{http80, "www.shop.example", "/a", "https://shop.example/a"},
		{http80, "old.example", "/a?b", "http://new.example/a?b"},
		{http80, "old.example:8080", "/a?b", "http://new.example:8080/a?b"},
		{http9443, "shop.example:17443", "/x", "https://shop.example:17443/x"},
	} {
		response, _ := get(t, c.address, c.host, c.path)
		require.Equal(t, http.StatusPermanentRedirect, response.StatusCode, c.host)
		require.Equal(t, c.want, response.Header.Get("Location"))
	}
	response, _ := send(t, client(t, "www.shop.example", true), "https://"+https+"/x?y", "www.shop.example")
	require.Equal(t, "https://shop.example/x?y", response.Header.Get("Location"))

	_, body := get(t, http80, "shop.example", "/plain/x")
	require.Equal(t, "plain GET /plain/x", body, "port 80 has a route of its own for it")
	_, body = get(t, http80, "unknown.example", "/")
	require.Equal(t, "any GET /", body)
	_, body = get(t, http80, "shop.example", "/", "X-Forwarded-Proto", "https")
	require.Equal(t, "site GET /", body, "the proxy before the edge has terminated TLS")
}

func TestTheNextUpstreamIsTriedWhereOneCannotBeConnectedTo(t *testing.T) {
	f := newFront(t, proxy.Options{})
	dead := closed(t)
	f.publish("shop", plain("shop.example", "", dead, named(t, "site"), closed(t)))
	address := f.listen(80)
	for range 20 {
		response, err := http.DefaultTransport.RoundTrip(post(t, address, "/", strings.NewReader("hello")))
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, 200, response.StatusCode)
	}
	require.Less(t, f.Dials(dead), 20, "it is set aside")
	f.publish("shop", plain("shop.example", "", dead))
	response, body := get(t, address, "shop.example", "/")
	require.Equal(t, 502, response.StatusCode)
	require.Equal(t, "502 Bad Gateway\nThe service does not answer.\n", body)
	f.publish("shop", plain("shop.example", ""))
	response, _ = get(t, address, "shop.example", "/")
	require.Equal(t, 503, response.StatusCode)
	require.NotEmpty(t, response.Header.Get("Retry-After"))
}

func TestPagesSayNothingOfTheInside(t *testing.T) {
	f := newFront(t, proxy.Options{})
	dead := closed(t)
	f.publish("shop", plain("shop.example", "", dead))
	address := f.listen(80)
	response, body := get(t, address, "shop.example", "/", "Accept", "text/html,*/*;q=0.8")
	require.Equal(t, "text/html; charset=utf-8", response.Header.Get("Content-Type"))
	require.Contains(t, body, "<h1>502 Bad Gateway</h1>")
	require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
	response, text := get(t, address, "shop.example", "/", "Accept", "application/json")
	require.Equal(t, "text/plain; charset=utf-8", response.Header.Get("Content-Type"))
	for _, page := range []string{body, text} {
		require.NotContains(t, page, dead)
		require.NotContains(t, page, "site")
		require.NotContains(t, page, "refused")
	}
}

func TestMaintenance(t *testing.T) {
	f := newFront(t, proxy.Options{})
	r := plain("shop.example", "", named(t, "site"))
	r.Maintenance, r.Held = true, true
	f.publish("shop", r)
	address := f.listen(80)
	response, body := get(t, address, "shop.example", "/")
	require.Equal(t, 503, response.StatusCode)
	require.Equal(t, "60", response.Header.Get("Retry-After"))
	require.Contains(t, body, "maintenance")
	f.publish("shop", plain("shop.example", "", named(t, "site")))
	_, body = get(t, address, "shop.example", "/")
	require.Equal(t, "site GET /", body)
}

func TestAPublicationThatIsNotNewerIsIgnored(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.Publish(fleet.Publication{Service: "shop", Version: 5, Routes: []fleet.EdgeRoute{plain("shop.example", "", named(t, "new"))}})
	f.Publish(fleet.Publication{Service: "shop", Version: 4, Routes: []fleet.EdgeRoute{plain("shop.example", "", named(t, "old"))}})
	f.Publish(fleet.Publication{Service: "shop", Version: 5})
	address := f.listen(80)
	_, body := get(t, address, "shop.example", "/")
	require.Equal(t, "new GET /", body)
	f.Publish(fleet.Publication{Service: "shop", Version: 6})
	response, _ := get(t, address, "shop.example", "/")
	require.Equal(t, 404, response.StatusCode)
	require.Equal(t, int64(6), f.Published()["shop"].Version)
}

func TestOneRequestFindsOutForAllWhetherAnUpstreamIsBack(t *testing.T) {
	f := newFront(t, proxy.Options{})
	dead := closed(t)
	f.publish("shop", plain("shop.example", "", dead, named(t, "site")))
	address := f.listen(80)
	for f.Dials(dead) == 0 {
		_, body := get(t, address, "shop.example", "/")
		require.Equal(t, "site GET /", body)
	}
	begun := time.Now()
	for range 100 {
		get(t, address, "shop.example", "/")
	}
	tried := f.Dials(dead)
	require.LessOrEqual(t, tried, 1+int(time.Since(begun)/(2*time.Second)))
	for f.Dials(dead) == tried { // which ends when the upstream is not set aside any more
		f.Forgive(dead)
		_, body := get(t, address, "shop.example", "/")
		require.Equal(t, "site GET /", body)
	}
	l, err := net.Listen("tcp", dead)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "back") })}
	defer server.Close()
	go func() { _ = server.Serve(l) }()
	for body := ""; body != "back"; {
		f.Forgive(dead)
		_, body = get(t, address, "shop.example", "/")
	}
	require.False(t, f.Ejected(dead))
}

func TestARequestThatWasDeliveredIsNotRepeated(t *testing.T) {
	f := newFront(t, proxy.Options{})
	delivered := make(chan string, 16)
	breaking := func(_ http.ResponseWriter, r *http.Request) {
		delivered <- r.Method
		panic(http.ErrAbortHandler)
	}
	f.publish("shop", plain("shop.example", "", upstream(t, breaking), upstream(t, breaking)))
	address := f.listen(80)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
		r := post(t, address, "/", strings.NewReader("hello"))
		r.Method = method
		response, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, 502, response.StatusCode)
		require.Equal(t, method, receive(t, delivered))
	}
	require.Empty(t, delivered)
}
