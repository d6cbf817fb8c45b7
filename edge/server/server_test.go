package server_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHTTP(t *testing.T) {
	web := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("hello " + r.Host + " " + r.Header.Get("X-Forwarded-Proto")))
	})
	plain := l7(8080, "", web)
	plain.Plain = true
	e := start(t, nil, publish("shop", l7(443, "shop.internal", web), l7(443, "*.shop.internal", web), plain))
	e.secured(t, "shop.internal", "*.shop.internal")
	trusting := e.trusting(t)

	t.Run("the root certificate is in a file", func(t *testing.T) {
		text, err := os.ReadFile(filepath.Join(e.data, "ca", "root.crt"))
		require.NoError(t, err)
		root, err := e.Root(t.Context())
		require.NoError(t, err)
		require.Equal(t, string(root), string(text))
	})
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			response, text := get(t, e.client(trusting, protocol), "https://shop.internal/")
			require.Equal(t, "hello shop.internal https", text)
			require.Equal(t, protocol, response.proto)
			require.Equal(t, `h3=":`+strconv.Itoa(e.ports[443])+`"; ma=86400`, response.header.Get("Alt-Svc"))
			_, text = get(t, e.client(trusting, protocol), "https://a.shop.internal/")
			require.Equal(t, "hello a.shop.internal https", text)
		})
	}
	t.Run("HTTP/3", func(t *testing.T) {
		response, text := get(t, e.http3Client(t, trusting), "https://shop.internal/")
		require.Equal(t, "hello shop.internal https", text)
		require.Equal(t, "HTTP/3.0", response.proto)
	})
	t.Run("HTTP/2 without TLS", func(t *testing.T) {
		c := e.client(nil, "")
		c.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
		response, text := get(t, c, "http://any.example:8080/")
		require.Equal(t, "HTTP/2.0", response.proto)
		require.Equal(t, "hello any.example:8080 http", text)
	})
	t.Run("without TLS it redirects, also on the port of TLS", func(t *testing.T) {
		for port, to := range map[string]string{"": "", ":443": ":" + strconv.Itoa(e.ports[443])} {
			response, _ := get(t, e.client(nil, "HTTP/1.1"), "http://shop.internal"+port+"/x?y=1")
			require.Equal(t, http.StatusPermanentRedirect, response.status)
			require.Equal(t, "https://shop.internal"+to+"/x?y=1", response.header.Get("Location"))
		}
	})
	t.Run("a hostname without a route has no certificate", func(t *testing.T) {
		refused(t, e.client(trusting, "HTTP/1.1"), "https://other.internal/", "unrecognized name")
		files, err := filepath.Glob(filepath.Join(e.data, "certificates", "certificates", "*", "*"))
		require.NoError(t, err)
		require.Len(t, files, 2)
	})
	t.Run("a withdrawn hostname has no certificate, not even for a resumed session", func(t *testing.T) {
		resuming := trusting.Clone()
		resuming.ClientSessionCache = tls.NewLRUClientSessionCache(10)
		for range 2 {
			response, _ := get(t, e.client(resuming, "HTTP/1.1"), "https://shop.internal/")
			require.Equal(t, http.StatusOK, response.status)
		}
		require.Empty(t, e.Apply(e.proxy.Publish(publish("shop", l7(443, "*.shop.internal", web), plain))))
		refused(t, e.client(resuming, "HTTP/1.1"), "https://shop.internal/", "unrecognized name")
		require.Len(t, e.Certificates(), 1)
		_, text := get(t, e.client(trusting, "HTTP/1.1"), "https://a.shop.internal/")
		require.Equal(t, "hello a.shop.internal https", text)
	})
}

func TestAPortThatIsTakenIsTriedAgain(t *testing.T) {
	web := upstream(t, says("hello"))
	e := start(t, nil)
	e.ports[8080], e.ports[8081] = freePort(t), freePort(t)
	other, err := net.Listen("tcp", address(e.ports[8080]))
	require.NoError(t, err)
	one, two := l7(8080, "", web), l7(8081, "", web)
	one.Plain, two.Plain = true, true
	problems := e.Apply(e.proxy.Publish(publish("shop", one, two)))
	require.Len(t, problems, 1)
	require.Contains(t, problems[0], "The tcp port 8080 is not served: listen tcp "+address(e.ports[8080])+": bind: address already in use; stop the other program")
	require.Equal(t, problems, e.Problems())
	require.Equal(t, []int{e.ports[8081]}, e.Listening())
	_, text := get(t, e.client(nil, "HTTP/1.1"), "http://shop.internal:8081/")
	require.Equal(t, "hello", text)

	require.NoError(t, other.Close())
	require.EventuallyWithT(t, func(c *assert.CollectT) { require.Empty(c, e.Problems()) }, time.Minute, 50*time.Millisecond)
	_, text = get(t, e.client(nil, "HTTP/1.1"), "http://shop.internal:8080/")
	require.Equal(t, "hello", text)
}

// A port comes and goes while a response of another one streams, a websocket of the
// same server is open, and a connection of another one is idle.
func TestAChangeOfPortsTouchesNoConnection(t *testing.T) {
	release := make(chan struct{})
	web := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			_, _ = w.Write([]byte("begin "))
			_ = http.NewResponseController(w).Flush()
			<-release
		}
		_, _ = w.Write([]byte("end"))
	})
	e := start(t, nil, publish("shop", l7(443, "shop.internal", web)))
	e.secured(t, "shop.internal")
	c := e.client(e.trusting(t), "HTTP/1.1")
	slow, err := c.Get("https://shop.internal/slow")
	require.NoError(t, err)
	defer slow.Body.Close()

	dialled := 0
	idle := e.client(e.trusting(t), "HTTP/1.1")
	dial := idle.Transport.(*http.Transport).DialContext
	idle.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		dialled++
		return dial(ctx, network, to)
	}
	get(t, idle, "https://shop.internal/")
	for range 20 {
		e.ports[9000] = freePort(t)
		other := l7(9000, "other.internal", web)
		require.Empty(t, e.Apply(e.proxy.Publish(publish("other", other))))
		require.Contains(t, e.Listening(), e.ports[9000])
		get(t, idle, "https://shop.internal/")
		require.Empty(t, e.Apply(e.proxy.Publish(publish("other"))))
		require.NotContains(t, e.Listening(), e.ports[9000])
		_, err := net.Dial("tcp", address(e.ports[9000]))
		require.ErrorContains(t, err, "refused")
	}
	require.Equal(t, 1, dialled)
	close(release)
	text := make([]byte, 100)
	n, _ := slow.Body.Read(text)
	m, _ := slow.Body.Read(text[n:])
	require.Equal(t, "begin end", string(text[:n+m]))
}

// A route may be asked for as soon as it is published, before its hostname has a
// certificate.
func TestAHandshakeWaitsForTheCertificate(t *testing.T) {
	web := upstream(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("hello " + r.Host)) })
	e := start(t, nil, publish("first", l7(443, "first.internal", web)))
	e.secured(t, "first.internal")
	trusting := e.trusting(t)
	for i := range 20 {
		name := "shop" + strconv.Itoa(i)
		require.Empty(t, e.Apply(e.proxy.Publish(publish(name, l7(443, name+".internal", web), l7(443, "*."+name+".internal", web)))))
		for _, host := range []string{name + ".internal", "any." + name + ".internal"} {
			_, text := get(t, e.client(trusting, "HTTP/1.1"), "https://"+host+"/")
			require.Equal(t, "hello "+host, text)
		}
	}
}
