package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
)

// Six processes serve in turns while clients send requests that must not be sent twice:
// over a new connection each time, and over one that is kept, with each version of HTTP
// that runs on tcp. A download goes on through all of it.
func TestANewProcessTakesOver(t *testing.T) {
	release := make(chan struct{})
	released := sync.OnceFunc(func() { close(release) })
	web := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/slow" {
			_, _ = w.Write([]byte("begin "))
			_ = http.NewResponseController(w).Flush()
			<-release
		}
		_, _ = w.Write([]byte("end"))
	})
	t.Cleanup(released)
	plain := l7(8080, "", web)
	plain.Plain = true
	of := spec{Data: t.TempDir(), Drain: time.Minute, Publications: []fleet.Publication{publish("shop", l7(443, "shop.internal", web), plain)}}
	of.Ports = freePorts(t, of.Publications)
	former := startProcess(t, of)
	e := &edge{ports: of.Ports}
	trusting := &tls.Config{RootCAs: rootOf(t, of.Data)}
	waitForTLS(t, address(of.Ports[443]), "shop.internal", trusting)

	slowly := e.client(trusting, "HTTP/1.1")
	slow, err := slowly.Get("https://shop.internal/slow")
	require.NoError(t, err)
	defer slow.Body.Close()

	var load loads
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for _, kept := range []bool{true, false} {
			load.start(e.client(trusting, protocol), protocol, "https://shop.internal/", kept)
		}
	}
	for _, kept := range []bool{true, false} {
		load.start(e.client(nil, "HTTP/1.1"), "HTTP/1.1", "http://shop.internal:8080/", kept)
	}
	var processes []*process
	for range 5 {
		load.await(300)
		next := startProcess(t, of)
		former.await(t, "taken")
		processes = append(processes, former)
		former = next
	}
	load.await(300)
	load.stop()
	t.Logf("%d requests, %d failed", load.sent.Load(), len(load.failures))
	require.Empty(t, load.failures)

	released()
	text, err := io.ReadAll(slow.Body)
	require.NoError(t, err)
	require.Equal(t, "begin end", string(text))
	slowly.CloseIdleConnections()
	for _, p := range processes {
		p.await(t, "stopped")
		require.NoError(t, p.Wait())
	}
}

// A process that takes the sockets, and dies before it listens, leaves the former one
// as it was.
func TestATakeoverThatFails(t *testing.T) {
	web := upstream(t, says("hello"))
	plain := l7(8080, "", web)
	plain.Plain = true
	e := start(t, nil, publish("shop", plain))
	for _, say := range []string{"", "\x01"} {
		c, err := net.Dial("unixpacket", filepath.Join(e.data, "handover.sock"))
		require.NoError(t, err)
		if say == "" {
			require.NoError(t, c.Close())
			_, text := get(t, e.client(nil, "HTTP/1.1"), "http://shop.internal:8080/")
			require.Equal(t, "hello", text)
			continue
		}
		_, err = c.Write([]byte(say))
		require.NoError(t, err)
		<-e.Taken()
		require.NoError(t, c.Close()) // with the sockets that wait in it
		_, err = net.Dial("tcp", address(e.ports[8080]))
		require.ErrorContains(t, err, "refused")
		require.Equal(t, []string{"The edge is stopping."}, e.Apply(e.proxy.Publish()))
	}
}

// loads are clients that send requests until they are stopped.
type loads struct {
	sent     atomic.Int64
	stopping atomic.Bool
	running  sync.WaitGroup
	mu       sync.Mutex
	failures []string
	clients  []*http.Client
}

// start starts clients of a URL, which keep their connection or not.
func (l *loads) start(c *http.Client, protocol, url string, kept bool) {
	c.Transport.(*http.Transport).DisableKeepAlives = !kept
	c.Transport.(*http.Transport).MaxIdleConnsPerHost = 10
	l.clients = append(l.clients, c)
	for range 2 {
		l.running.Go(func() {
			for !l.stopping.Load() {
				if err := post(c, protocol, url); err != nil {
					l.mu.Lock()
					l.failures = append(l.failures, fmt.Sprintf("%s, kept: %t: %v", protocol, kept, err))
					l.mu.Unlock()
				}
				l.sent.Add(1)
			}
		})
	}
}

// post sends a request that a client must not send a second time, unless the server
// says that it has not seen it, which is what HTTP/2's GOAWAY does.
func post(c *http.Client, protocol, url string) error {
	body := io.Reader(strings.NewReader("a body"))
	if protocol == "HTTP/1.1" {
		body = io.NopCloser(body) // which cannot be read again
	}
	request, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		return err
	}
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && string(text) != "end" {
		err = errors.New(response.Status + ": " + string(text))
	}
	return err
}

// await waits until the clients have sent n more requests.
func (l *loads) await(n int64) {
	for until := l.sent.Load() + n; l.sent.Load() < until; {
		time.Sleep(time.Millisecond)
	}
}

func (l *loads) stop() {
	l.stopping.Store(true)
	l.running.Wait()
	for _, c := range l.clients {
		c.CloseIdleConnections()
	}
}

// rootOf waits for the root certificate of an edge's own authority.
func rootOf(t *testing.T, data string) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		text, err := os.ReadFile(filepath.Join(data, "ca", "root.crt"))
		require.NoError(c, err)
		require.True(c, roots.AppendCertsFromPEM(text))
	}, time.Minute, 20*time.Millisecond)
	return roots
}

// waitForTLS waits until an edge has a certificate of the hostname.
func waitForTLS(t *testing.T, at, host string, config *tls.Config) {
	t.Helper()
	config = config.Clone()
	config.ServerName = host
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		conn, err := tls.Dial("tcp", at, config)
		require.NoError(c, err)
		_ = conn.Close()
	}, time.Minute, 50*time.Millisecond)
}
