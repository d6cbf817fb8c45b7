package podman_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/contract"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/servicedef"
)

// lossyProxy passes requests on to podman's socket, but cuts the connection
// in place of the first answer to a POST whose path has the given end. It
// returns the socket to use instead.
func lossyProxy(t *testing.T, socket, end string) string {
	t.Helper()
	var lost atomic.Bool
	t.Cleanup(func() { require.True(t, lost.Load(), "no answer was lost") })
	return watchingProxy(t, socket, end, func() {
		if lost.CompareAndSwap(false, true) {
			panic(http.ErrAbortHandler)
		}
	})
}

// watchingProxy passes requests on to podman's socket, and calls answered
// before it passes back the answer to a POST whose path has the given end.
func watchingProxy(t *testing.T, socket, end string, answered func()) string {
	t.Helper()
	pass := toPodman(socket)
	pass.ModifyResponse = func(response *http.Response) error {
		if r := response.Request; r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, end) {
			answered()
		}
		return nil
	}
	return serve(t, pass)
}

// toPodman is a proxy to podman's socket.
func toPodman(socket string) *httputil.ReverseProxy {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "podman"})
	proxy.Transport = &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(socket, "unix://"))
		},
	}
	return proxy
}

// serve returns the socket on which a handler is served.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "proxy.sock"))
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(handler)
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().String()
}

// buildApp gives the engine the test program as localhost/app:v1.
func buildApp(t *testing.T, engine *podman.Engine) {
	t.Helper()
	dir := contract.BuildApp(t)
	file := filepath.Join(dir, "Containerfile")
	require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nCOPY app /app\nCMD [\"/app\", \"serve\"]\n"), 0o600))
	_, err := engine.Build(t.Context(), runtime.BuildSpec{Tag: "localhost/app:v1", Context: dir, Containerfile: file})
	require.NoError(t, err)
}

func TestLostAnswers(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	direct := podman.New(service.Socket())
	buildApp(t, direct)

	for name, end := range map[string]string{
		"a lost answer to a create makes no second container": "/containers/create",
		"a lost answer to a start makes no second container":  "/start",
	} {
		t.Run(name, func(t *testing.T) {
			engine := podman.New(lossyProxy(t, service.Socket(), end))
			id, err := engine.Run(t.Context(), runtime.ContainerSpec{Name: "lost", Image: "localhost/app:v1"})
			require.NoError(t, err)
			infos, err := direct.List(t.Context(), nil)
			require.NoError(t, err)
			require.Len(t, infos, 1)
			require.Equal(t, id, infos[0].ID)
			require.Equal(t, runtime.Running, infos[0].State)
			require.NoError(t, direct.Remove(t.Context(), id))
		})
	}

	t.Run("a start that is cancelled leaves no container", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		engine := podman.New(watchingProxy(t, service.Socket(), "/start", func() {
			cancel()
			time.Sleep(100 * time.Millisecond) // until the caller has seen it
		}))
		_, err := engine.Run(ctx, runtime.ContainerSpec{Name: "lost", Image: "localhost/app:v1"})
		require.ErrorIs(t, err, context.Canceled)
		infos, err := direct.List(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, infos)
	})

	t.Run("a container that could be neither started nor removed is told of, and replaced when it gets other ports", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		taken := listener.Addr().(*net.TCPAddr).Port
		spec := runtime.ContainerSpec{
			Name: "left", Image: "localhost/app:v1", Labels: map[string]string{runtime.LabelDeployment: "1", runtime.LabelSpec: "a"},
			Ports: []servicedef.Port{{IP: "127.0.0.1", Host: taken, Container: 8080, Protocol: "tcp"}},
		}
		pass := toPodman(service.Socket())
		engine := podman.New(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				http.Error(w, "the disk is full", http.StatusInternalServerError)
				return
			}
			pass.ServeHTTP(w, r)
		})))
		_, err = engine.Run(t.Context(), spec)
		require.True(t, fault.Is(err, fault.PortInUse), err)
		require.Equal(t, taken, fault.Of(err).Port)
		require.Contains(t, fault.Of(err).Message, "remove container left: the disk is full")
		left, err := direct.Inspect(t.Context(), "left")
		require.NoError(t, err)
		require.Equal(t, runtime.Created, left.State)

		spec.Ports = nil
		id, err := direct.Run(t.Context(), spec)
		require.NoError(t, err)
		require.NotEqual(t, left.ID, id)
		require.NoError(t, direct.Remove(t.Context(), id))
	})
}

// Of podman 4.3 a container that crashes in a loop gets this answer about once
// in 4,000 that are asked as fast as it gives them.
func TestAContainerWhoseProgramEndsInMidAnswer(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	direct := podman.New(service.Socket())
	buildApp(t, direct)
	id, err := direct.Run(t.Context(), runtime.ContainerSpec{Name: "looping", Image: "localhost/app:v1"})
	require.NoError(t, err)
	// ending is podman where the next n answers of a container meet its end.
	ending := func(n int) (engine *podman.Engine, asked *int) {
		pass := toPodman(service.Socket())
		asked = new(int)
		return podman.New(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/looping/json") {
				if *asked++; *asked <= n {
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(http.StatusInternalServerError)
					_, _ = w.Write([]byte(`{"cause":"no such process","message":"read /proc/5579/cgroup: no such process","response":500}`))
					return
				}
			}
			pass.ServeHTTP(w, r)
		}))), asked
	}

	engine, asked := ending(2)
	info, err := engine.Inspect(t.Context(), "looping")
	require.NoError(t, err)
	require.Equal(t, id, info.ID)
	require.Equal(t, 3, *asked)

	engine, asked = ending(100)
	_, err = engine.Inspect(t.Context(), "looping")
	require.ErrorContains(t, err, "inspect container looping: read /proc/5579/cgroup: no such process")
	require.Equal(t, 5, *asked)
}
