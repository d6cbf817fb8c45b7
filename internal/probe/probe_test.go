package probe_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/probe"
)

func TestHTTP(t *testing.T) {
	for status, healthy := range map[int]bool{200: true, 204: true, 302: true, 399: true, 400: false, 404: false, 500: false, 503: false} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				require.Equal(t, "/healthz", r.URL.Path, "it followed the redirect")
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			}))
			defer server.Close()
			err := probe.Prober{}.HTTP(t.Context(), server.URL+"/healthz", time.Second)
			require.Equal(t, healthy, err == nil, "%v", err)
			if !healthy {
				require.ErrorContains(t, err, http.StatusText(status))
			}
		})
	}

	t.Run("a server that does not answer in time fails", func(t *testing.T) {
		release := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		defer server.Close()
		defer close(release)
		require.ErrorIs(t, probe.Prober{}.HTTP(t.Context(), server.URL, 20*time.Millisecond), context.DeadlineExceeded)
	})

	t.Run("each probe opens a new connection", func(t *testing.T) {
		opened := make(chan net.Conn, 3)
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ConnState = func(conn net.Conn, state http.ConnState) {
			if state == http.StateNew {
				opened <- conn
			}
		}
		server.Start()
		defer server.Close()
		for range 3 {
			require.Error(t, probe.Prober{}.HTTP(t.Context(), server.URL, time.Second))
		}
		require.Len(t, opened, 3)
	})

	t.Run("a URL that cannot be parsed fails", func(t *testing.T) {
		require.Error(t, probe.Prober{}.HTTP(t.Context(), "http://127.0.0.1:port", time.Second))
	})
}

func TestTCP(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, probe.Prober{}.TCP(t.Context(), address, time.Second))

	require.NoError(t, listener.Close())
	require.ErrorContains(t, probe.Prober{}.TCP(t.Context(), address, time.Second), address)
}
