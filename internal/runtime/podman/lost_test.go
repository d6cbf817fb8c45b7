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

// lossyProxy returns the socket of a proxy to podman that closes the connection
// instead of passing back the first answer to a POST whose path has that suffix.
func lossyProxy(t *testing.T, socket, suffix string) string {
	t.Helper()
	var lost atomic.Bool
	t.Cleanup(func() { require.True(t, lost.Load(), "no answer was lost") })
	return watchingProxy(t, socket, suffix, func() {
		if lost.CompareAndSwap(false, true) {
			panic(http.ErrAbortHandler)
		}
	})
}

// watchingProxy returns the socket of a proxy to podman that calls answered before
// it passes back the answer to a POST whose path has that suffix.
func watchingProxy(t *testing.T, socket, suffix string, answered func()) string {
	t.Helper()
	pass := toPodman(socket)
	pass.ModifyResponse = func(response *http.Response) error {
		if r := response.Request; r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, suffix) {
			answered()
		}
		return nil
	}
	return serve(t, pass)
}

// toPodman returns a proxy to podman's socket.
func toPodman(socket string) *httputil.ReverseProxy {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "podman"})
	proxy.Transport = transportTo(socket)
	return proxy
}

// serve returns a socket on which it serves a handler.
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

// buildApp builds an image of the test program as localhost/app:v1.
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

	for name, suffix := range map[string]string{
		"a lost answer to a create causes no second container": "/containers/create",
		"a lost answer to a start causes no second container":  "/start",
	} {
		t.Run(name, func(t *testing.T) {
			engine := podman.New(lossyProxy(t, service.Socket(), suffix))
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

	t.Run("a container that can be neither started nor removed is reported, and replaced once it gets other ports", func(t *testing.T) {
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

// Podman 4.3 gives this answer about once in 4,000 consecutive inspections of a
// container that crashes in a loop.
func TestInspectAContainerWhoseProgramEndsMeanwhile(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	direct := podman.New(service.Socket())
	buildApp(t, direct)
	id, err := direct.Run(t.Context(), runtime.ContainerSpec{Name: "looping", Image: "localhost/app:v1"})
	require.NoError(t, err)
	// ending returns a podman whose next n inspections meet the program's end, and
	// the number of inspections.
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
