package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/proxy"
	"github.com/metacircular/mcp/internal/fleet"
)

// patience bounds what must happen in a moment; a test that fails waits for it.
const patience = 30 * time.Second

// front is a proxy behind real listeners.
type front struct {
	*proxy.Proxy
	t       testing.TB
	version int64
}

func newFront(t testing.TB, o proxy.Options) *front {
	return &front{Proxy: proxy.New(o), t: t}
}

// publish makes the front serve routes as those of a service.
func (f *front) publish(service string, routes ...fleet.EdgeRoute) {
	f.Publish(fleet.Publication{Service: service, Version: atomic.AddInt64(&f.version, 1), Routes: routes})
}

// plain returns a route on port 80 of a hostname and path to upstreams.
func plain(host, path string, upstreams ...string) fleet.EdgeRoute {
	return fleet.EdgeRoute{
		Endpoint: fleet.Endpoint{Port: 80, Protocol: fleet.ProtocolHTTP, Hostname: host, Path: path},
		Name:     "web", Components: []string{"site"}, Upstreams: upstreams, Plain: true,
	}
}

// secure is plain on port 443, with TLS.
func secure(host, path string, upstreams ...string) fleet.EdgeRoute {
	r := plain(host, path, upstreams...)
	r.Endpoint.Port, r.Plain = 443, false
	return r
}

// listen serves a port of the front without TLS and returns its address.
func (f *front) listen(port int, configure ...func(*http.Server)) string {
	server := newServer(f.HTTP(port))
	for _, c := range configure {
		c(server)
	}
	return start(f.t, server, nil)
}

// listenTLS serves a port of the front with TLS, HTTP/1.1 and HTTP/2.
func (f *front) listenTLS(port int) string {
	return start(f.t, newServer(f.HTTP(port)), certificate(f.t))
}

// newServer returns a server with the limits that an edge's has.
func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: proxy.ReadHeaderTimeout, IdleTimeout: proxy.IdleTimeout,
		MaxHeaderBytes: proxy.MaxHeaderBytes, ErrorLog: log.New(io.Discard, "", 0),
	}
}

func start(t testing.TB, server *http.Server, certificate *tls.Certificate) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		if certificate == nil {
			_ = server.Serve(l)
			return
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*certificate}}
		_ = server.ServeTLS(l, "", "")
	}()
	return l.Addr().String()
}

// upstream starts a container's server.
func upstream(t testing.TB, h http.HandlerFunc) string {
	return start(t, &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}, nil)
}

// named starts a container that answers its name and what it was asked.
func named(t testing.TB, name string) string {
	return upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, name+" "+r.Method+" "+r.RequestURI)
	})
}

// closed returns an address at which nothing listens.
func closed(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// reply is an answer whose body was read.
type reply struct {
	StatusCode int
	Header     http.Header
}

func read(t testing.TB, response *http.Response) (reply, string) {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{response.StatusCode, response.Header}, string(body)
}

// get sends a GET request to an address, with a host, and returns status and body.
func get(t testing.TB, address, host, path string, header ...string) (reply, string) {
	return send(t, http.DefaultTransport, "http://"+address+path, host, header...)
}

func send(t testing.TB, transport http.RoundTripper, url, host string, header ...string) (reply, string) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := transport.RoundTrip(r)
	require.NoError(t, err)
	return read(t, response)
}

// raw sends bytes on a connection of its own, and returns the first answer, which is
// an answer to GET unless the bytes say otherwise.
func raw(t testing.TB, address, text string) (reply, string) {
	c := dial(t, address)
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
	return answer(t, bufio.NewReader(c))
}

func answer(t testing.TB, r *bufio.Reader) (reply, string) {
	response, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	return read(t, response)
}

func dial(t testing.TB, address string) *net.TCPConn {
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c.(*net.TCPConn)
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	require.Eventually(t, condition, patience, time.Millisecond, what)
}

// receive waits for a value.
func receive[T any](t testing.TB, c <-chan T) (value T) {
	select {
	case value = <-c:
	case <-time.After(patience):
		require.FailNow(t, "nothing was received")
	}
	return value
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// certificate returns one for the hostnames of the tests.
func certificate(t testing.TB) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"shop.example", "*.shop.example", "blog.example"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// client returns a transport to an address with TLS, for a server name.
func client(t testing.TB, name string, http2 bool) *http.Transport {
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: name},
		ForceAttemptHTTP2: http2,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// pattern returns n bytes that repeat themselves late.
func pattern(n int) []byte {
	return bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz\n"), n/37+1)[:n]
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func lines(texts ...string) string { return strings.Join(texts, "\r\n") }
