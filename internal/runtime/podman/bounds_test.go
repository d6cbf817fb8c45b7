package podman_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// calls returns every method of an Engine, by name, on a container and an image
// that exist; spare is an image that no container has. Run creates the container.
func calls(t *testing.T, container, image, spare string) map[string]func(context.Context, *podman.Engine) error {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "Containerfile")
	require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nLABEL a=b\n"), 0o600))
	none := func(runtime.LogLine) bool { return true }
	return map[string]func(context.Context, *podman.Engine) error{
		"Build": func(ctx context.Context, e *podman.Engine) error {
			_, err := e.Build(ctx, runtime.BuildSpec{Tag: "localhost/b:v1", Context: dir, Containerfile: file})
			return err
		},
		"Push": func(ctx context.Context, e *podman.Engine) error {
			return e.Push(ctx, runtime.PushSpec{Image: image, Insecure: true})
		},
		"Pull": func(ctx context.Context, e *podman.Engine) error {
			return e.Pull(ctx, runtime.PullSpec{Image: image, Insecure: true})
		},
		"ImageExists": func(ctx context.Context, e *podman.Engine) error { _, err := e.ImageExists(ctx, image); return err },
		"RemoveImage": func(ctx context.Context, e *podman.Engine) error { return e.RemoveImage(ctx, spare) },
		"PruneImage":  func(ctx context.Context, e *podman.Engine) error { _, err := e.PruneImage(ctx, spare); return err },
		"Run": func(ctx context.Context, e *podman.Engine) error {
			_, err := e.Run(ctx, runtime.ContainerSpec{Name: container, Image: image})
			return err
		},
		"Start":   func(ctx context.Context, e *podman.Engine) error { return e.Start(ctx, container) },
		"Stop":    func(ctx context.Context, e *podman.Engine) error { return e.Stop(ctx, container, 0) },
		"Remove":  func(ctx context.Context, e *podman.Engine) error { return e.Remove(ctx, container) },
		"Rename":  func(ctx context.Context, e *podman.Engine) error { return e.Rename(ctx, container, "other") },
		"Inspect": func(ctx context.Context, e *podman.Engine) error { _, err := e.Inspect(ctx, container); return err },
		"List":    func(ctx context.Context, e *podman.Engine) error { _, err := e.List(ctx, nil); return err },
		"Summaries": func(ctx context.Context, e *podman.Engine) error {
			_, err := e.Summaries(ctx, runtime.Selection{})
			return err
		},
		"Logs": func(ctx context.Context, e *podman.Engine) error {
			return e.Logs(ctx, container, runtime.LogQuery{}, none)
		},
		"Exec": func(ctx context.Context, e *podman.Engine) error {
			_, err := e.Exec(ctx, container, []string{"/app", "echo"})
			return err
		},
		"Secrets": func(ctx context.Context, e *podman.Engine) error { _, err := e.Secrets(ctx); return err },
		"CreateSecret": func(ctx context.Context, e *podman.Engine) error {
			return e.CreateSecret(ctx, runtime.SecretSpec{Name: "key", Value: []byte("hush")})
		},
		"RemoveSecret": func(ctx context.Context, e *podman.Engine) error { return e.RemoveSecret(ctx, "key") },
		"Version":      func(ctx context.Context, e *podman.Engine) error { _, err := e.Version(ctx); return err },
		"Info":         func(ctx context.Context, e *podman.Engine) error { _, err := e.Info(ctx); return err },
	}
}

// longest is the bound of a call in this test, and most how long a method may take
// that makes several.
const longest, most = time.Second, 20 * time.Second

func requireHung(t *testing.T, err error, began time.Time, socket string) {
	t.Helper()
	require.Equal(t, fault.Unavailable, fault.Of(err).Kind, err)
	require.ErrorContains(t, err, socket)
	require.ErrorContains(t, err, "no answer to ")
	require.Less(t, time.Since(began), most)
}

func TestNoMethodWaitsForAPodmanThatNeverAnswers(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "deaf.sock"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	socket := listener.Addr().String()
	for name, call := range calls(t, "app", "localhost/app:v1", "localhost/app:v1") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			requireHung(t, call(t.Context(), podman.New(socket).WithBounds(longest)), began, socket)
		})
	}
}

// Each case swallows one call of podman's API, and passes on all others.
func TestNoMethodWaitsForOneCallThatIsNeverAnswered(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	direct := podman.New(service.Socket())
	buildApp(t, direct)
	const image, spare = "localhost/app:v1", "localhost/spare:v1"
	file := filepath.Join(t.TempDir(), "Containerfile")
	require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nLABEL is=spare\n"), 0o600))
	_, err := direct.Build(t.Context(), runtime.BuildSpec{Tag: spare, Context: filepath.Dir(file), Containerfile: file})
	require.NoError(t, err)
	// needing are the methods that need a container.
	needing := []string{"Start", "Stop", "Remove", "Rename", "Inspect", "Logs", "Exec"}
	for i, c := range []struct{ method, swallowed string }{
		{"Build", "POST /build"},
		{"Push", "POST /push"},
		{"Pull", "POST /pull"},
		{"ImageExists", "GET /exists"},
		{"RemoveImage", "DELETE /remove"},
		{"PruneImage", "GET /images/json"},
		{"PruneImage", "DELETE /remove"},
		{"Run", "POST /create"},
		{"Run", "POST /start"},
		{"Start", "POST /start"},
		{"Stop", "POST /stop"},
		{"Remove", "DELETE /containers/"},
		{"Rename", "POST /rename"},
		{"Inspect", "GET /json"},
		{"List", "GET /containers/json"},
		{"Summaries", "GET /containers/json"},
		{"Logs", "GET /logs"},
		{"Exec", "POST /exec"},
		{"Exec", "POST /start"},
		{"Secrets", "GET /secrets/json"},
		{"Version", "GET /_ping"},
		{"Info", "GET /info"},
	} {
		t.Run(c.method+" without "+c.swallowed, func(t *testing.T) {
			t.Parallel()
			container := fmt.Sprintf("of-case-%d", i)
			t.Cleanup(func() { require.NoError(t, direct.Remove(context.Background(), container)) })
			if slices.Contains(needing, c.method) {
				_, err := direct.Run(t.Context(), runtime.ContainerSpec{Name: container, Image: image})
				require.NoError(t, err)
			}
			if c.method == "Start" {
				require.NoError(t, direct.Stop(t.Context(), container, 0))
			}
			call := calls(t, container, image, spare)[c.method]
			verb, part, _ := strings.Cut(c.swallowed, " ")
			ended := make(chan struct{}) // an unread body hides the client's end from the handler
			pass := withoutLogFiles(service.Socket())
			socket := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == verb && strings.Contains(r.URL.Path, part) {
					<-ended
					return
				}
				pass.ServeHTTP(w, r)
			}))
			engine := podman.New(socket)
			if part != "/_ping" {
				_, err := engine.Version(t.Context()) // connects
				require.NoError(t, err)
			}
			engine.WithBounds(3 * longest)
			began := time.Now()
			err := call(t.Context(), engine)
			close(ended)
			requireHung(t, err, began, socket)
		})
	}

	t.Run("a response that breaks off", func(t *testing.T) {
		t.Parallel()
		ended := make(chan struct{})
		socket := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Libpod-API-Version", "4.3.1")
			if strings.HasSuffix(r.URL.Path, "/_ping") {
				return
			}
			_, _ = w.Write([]byte(`{"stream":`))
			w.(http.Flusher).Flush()
			<-ended
		}))
		defer close(ended)
		methods := calls(t, "app", image, spare)
		for _, method := range []string{"Pull", "Build", "List"} {
			began := time.Now()
			requireHung(t, methods[method](t.Context(), podman.New(socket).WithBounds(longest)), began, socket)
		}
	})

	t.Run("a command and a follow that print nothing are not bounded", func(t *testing.T) {
		t.Parallel()
		_, err := direct.Run(t.Context(), runtime.ContainerSpec{Name: "quiet", Image: image, Command: []string{"/app", "sleep", "15s"}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, direct.Remove(context.Background(), "quiet")) })
		engine := podman.New(service.Socket()).WithBounds(5 * time.Second)
		followed := make(chan error, 2)
		for _, e := range []*podman.Engine{engine, podman.New(serve(t, withoutLogFiles(service.Socket()))).WithBounds(5 * time.Second)} {
			go func() {
				followed <- e.Logs(t.Context(), "quiet", runtime.LogQuery{Follow: true}, func(runtime.LogLine) bool { return true })
			}()
		}
		result, err := engine.Exec(t.Context(), "quiet", []string{"/app", "sleep", "7s"})
		require.NoError(t, err)
		require.Zero(t, result.ExitCode)
		require.NoError(t, <-followed)
		require.NoError(t, <-followed)
	})
}
