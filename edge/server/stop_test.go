package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/stretchr/testify/require"
)

// http3Client returns a client that speaks HTTP/3 with the edge.
func (e *edge) http3Client(t *testing.T, config *tls.Config) *http.Client {
	t.Helper()
	transport := &http3.Transport{
		TLSClientConfig: config.Clone(),
		Dial: func(ctx context.Context, _ string, config *tls.Config, quicConfig *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, address(e.ports[443]), config, quicConfig)
		},
	}
	t.Cleanup(func() { _ = transport.Close() })
	return &http.Client{Transport: transport}
}

// A server that stops ends what it has begun, over each version of HTTP, and a
// connection that was passed through; it accepts nothing more.
func TestStop(t *testing.T) {
	release := make(chan struct{})
	web := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "begin ")
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, "end")
	})
	e := start(t, nil, publish("shop", l7(443, "shop.internal", web), l4(5432, "tcp", "", container(t, "db"))))
	e.secured(t, "shop.internal")
	trusting := e.trusting(t)
	clients := []*http.Client{e.client(trusting, "HTTP/1.1"), e.client(trusting, "HTTP/2.0"), e.http3Client(t, trusting)}
	bodies := make([]io.ReadCloser, len(clients))
	for i, c := range clients {
		response, err := c.Get("https://shop.internal/")
		require.NoError(t, err)
		defer response.Body.Close()
		bodies[i] = response.Body
		got := make([]byte, len("begin "))
		_, err = io.ReadFull(response.Body, got)
		require.NoError(t, err)
	}
	passed := e.dial(t, 5432)
	exchange(t, passed, "", "db\n")

	stopped := make(chan struct{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() { e.Stop(ctx); close(stopped) }()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address(e.ports[443]))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, time.Minute, 5*time.Millisecond)
	exchange(t, passed, "still here", "still here")
	close(release)
	for i, body := range bodies {
		text, err := io.ReadAll(body)
		require.NoError(t, err, i)
		require.Equal(t, "end", string(text))
		require.NoError(t, body.Close())
		clients[i].CloseIdleConnections()
	}
	require.NoError(t, passed.Close())
	<-stopped
	require.NoError(t, ctx.Err())
}

// What is open when the time is over is closed.
func TestStopEnds(t *testing.T) {
	web := upstream(t, says("hello"))
	e := start(t, nil, publish("shop", l7(443, "shop.internal", web), l4(5432, "tcp", "", container(t, "db"))))
	e.secured(t, "shop.internal")
	idle := e.client(e.trusting(t), "HTTP/1.1")
	get(t, idle, "https://shop.internal/")
	passed := e.dial(t, 5432)
	exchange(t, passed, "", "db\n")
	silent := e.dial(t, 443)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	e.Stop(ctx)
	require.Error(t, ctx.Err())
	for _, c := range []net.Conn{passed, silent} {
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err)
	}
}
