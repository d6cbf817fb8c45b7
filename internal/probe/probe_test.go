package probe_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
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
			err := probe.Prober{}.HTTP(t.Context(), get(t, server.URL+"/healthz", ""), nil, time.Second)
			require.Equal(t, healthy, err == nil, "%v", err)
			if !healthy {
				require.ErrorContains(t, err, http.StatusText(status))
			}
		})
	}

	t.Run("only the codes of the definition are healthy", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
		defer server.Close()
		require.NoError(t, probe.Prober{}.HTTP(t.Context(), get(t, server.URL, ""), []int{200, 401}, time.Second))
		require.ErrorContains(t, probe.Prober{}.HTTP(t.Context(), get(t, server.URL, ""), []int{200}, time.Second), "401 Unauthorized, not one of [200]")
	})

	t.Run("the host is that of the check, or of the URL", func(t *testing.T) {
		asked := make(chan string, 1)
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Host }))
		defer server.Close()
		for given, want := range map[string]string{"shop.example": "shop.example", "": server.Listener.Addr().String()} {
			require.NoError(t, probe.Prober{}.HTTP(t.Context(), get(t, server.URL, given), nil, time.Second))
			require.Equal(t, want, <-asked)
		}
	})

	t.Run("a server that does not answer in time fails", func(t *testing.T) {
		release := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		defer server.Close()
		defer close(release)
		require.ErrorIs(t, probe.Prober{}.HTTP(t.Context(), get(t, server.URL, ""), nil, 20*time.Millisecond), context.DeadlineExceeded)
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
			require.Error(t, probe.Prober{}.HTTP(t.Context(), get(t, server.URL, ""), nil, time.Second))
		}
		require.Len(t, opened, 3)
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

// A listening socket from which no process accepts is what podman has for a port that it
// does not forward.
func TestForwarded(t *testing.T) {
	for _, ip := range []string{"127.0.0.1", "::1", "::"} {
		t.Run("one that no process accepts is not forwarded: "+ip, func(t *testing.T) {
			listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
			require.NoError(t, err)
			defer listener.Close()
			address := listener.Addr().String()
			require.NoError(t, probe.Prober{}.TCP(t.Context(), address, time.Second))
			err = probe.Prober{}.Forwarded(t.Context(), address, 80, unasked(t), 50*time.Millisecond)
			require.ErrorContains(t, err, address+": podman holds the port")
			require.NotEmpty(t, fault.Of(err).Hint)
		})
	}

	t.Run("a socket for both protocols, asked over IPv4", func(t *testing.T) {
		listener, err := net.Listen("tcp", ":0")
		require.NoError(t, err)
		defer listener.Close()
		_, port, err := net.SplitHostPort(listener.Addr().String())
		require.NoError(t, err)
		require.ErrorContains(t, probe.Prober{}.Forwarded(t.Context(), "127.0.0.1:"+port, 80, unasked(t), 50*time.Millisecond), "podman holds the port")
	})

	forwarder, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer forwarder.Close()
	go func() {
		for conn, err := forwarder.Accept(); err == nil; conn, err = forwarder.Accept() {
			defer conn.Close()
		}
	}()
	address := forwarder.Addr().String()

	t.Run("behind a forwarder that accepts for everybody the container must listen", func(t *testing.T) {
		container := exec.Command("unshare", "--net", "sleep", "infinity") // it has nothing that listens
		require.NoError(t, container.Start())
		defer func() {
			_ = container.Process.Kill()
			_ = container.Wait() // it ends by the kill
		}()
		asked := func(context.Context) (int, error) { return container.Process.Pid, nil }
		require.Eventually(t, func() bool {
			err := probe.Prober{}.Forwarded(t.Context(), address, 80, asked, time.Second)
			return err != nil && strings.Contains(err.Error(), "the container does not listen on port 80")
		}, time.Minute, 10*time.Millisecond, "once it has its own network")
	})

	t.Run("one whose container cannot be seen is believed", func(t *testing.T) {
		for _, pid := range []int{0, -1, os.Getpid()} {
			require.NoError(t, probe.Prober{}.Forwarded(t.Context(), address, 80, func(context.Context) (int, error) { return pid, nil }, time.Second))
		}
	})

	t.Run("an address where nothing listens is refused", func(t *testing.T) {
		require.NoError(t, forwarder.Close())
		require.ErrorContains(t, probe.Prober{}.Forwarded(t.Context(), address, 80, unasked(t), time.Second), "refused")
	})
}

// unasked is a container that must not be asked about.
func unasked(t *testing.T) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		t.Error("it asked for the container")
		return 0, nil
	}
}

// get is a request with a Host header.
func get(t *testing.T, url, host string) *http.Request {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	if host != "" {
		request.Host = host
	}
	return request
}
