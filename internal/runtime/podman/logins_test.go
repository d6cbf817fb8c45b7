package podman_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// guardedRegistry is an image registry that wants a name and a password, at an
// address "host:port".
func guardedRegistry(t *testing.T, user, password string) string {
	t.Helper()
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: startImageRegistry(t).Address()})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="images"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		// The registry behind it tells its clients where to go on.
		r.Header.Set("X-Forwarded-Host", r.Host)
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestAnAuthFileIsForPushPullAndBuild(t *testing.T) {
	host := guardedRegistry(t, "ann", "secret")
	conf := filepath.Join(t.TempDir(), "registries.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, "[[registry]]\nlocation = %q\ninsecure = true\n", host), 0o600))
	t.Setenv("CONTAINERS_REGISTRIES_CONF", conf) // a build says nothing of which registries are insecure
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })

	file := filepath.Join(t.TempDir(), "auth.json")
	login := base64.StdEncoding.EncodeToString([]byte("ann:secret"))
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, login), 0o600))
	nobody := filepath.Join(t.TempDir(), "auth.json")
	require.NoError(t, os.WriteFile(nobody, []byte(`{"auths":{}}`), 0o600))
	known, unknown := podman.New(service.Socket()).LoginsFrom(file), podman.New(service.Socket()).LoginsFrom(nobody)

	image := host + "/team/app:v1"
	buildEmpty(t, known, image)
	dir := t.TempDir()
	from := filepath.Join(dir, "Containerfile")
	require.NoError(t, os.WriteFile(from, []byte("FROM "+image+"\nLABEL more=yes\n"), 0o600))
	for _, step := range []struct {
		name string
		do   func(*podman.Engine) error
	}{
		{"push", func(e *podman.Engine) error {
			return e.Push(t.Context(), runtime.PushSpec{Image: image, Insecure: true})
		}},
		{"push with progress", func(e *podman.Engine) error { // whose error comes in the middle of the answer
			return e.Push(t.Context(), runtime.PushSpec{Image: image, Insecure: true, Progress: func(string) {}})
		}},
		{"pull", func(e *podman.Engine) error {
			return e.Pull(t.Context(), runtime.PullSpec{Image: image, Insecure: true})
		}},
		{"build", func(e *podman.Engine) error {
			require.NoError(t, e.RemoveImage(t.Context(), "localhost/more:v1"))
			require.NoError(t, e.RemoveImage(t.Context(), image))
			_, err := e.Build(t.Context(), runtime.BuildSpec{Tag: "localhost/more:v1", Context: dir, Containerfile: from})
			return err
		}},
	} {
		t.Run(step.name, func(t *testing.T) {
			require.Equal(t, fault.Unauthorized, fault.Of(step.do(unknown)).Kind)
			require.NoError(t, step.do(known))
		})
	}
	t.Run("where podman login writes, before where docker login does", func(t *testing.T) {
		home, runtimeDir := t.TempDir(), t.TempDir()
		for _, variable := range []string{"REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_CONFIG_HOME"} {
			t.Setenv(variable, "")
		}
		t.Setenv("HOME", home)
		t.Setenv("XDG_RUNTIME_DIR", runtimeDir)
		push := func() error {
			return podman.New(service.Socket()).Push(t.Context(), runtime.PushSpec{Image: image, Insecure: true})
		}
		buildEmpty(t, known, image)
		require.Equal(t, fault.Unauthorized, fault.Of(push()).Kind, "nobody has logged in")

		wrong := base64.StdEncoding.EncodeToString([]byte("ann:wrong"))
		dockers := filepath.Join(home, ".docker", "config.json")
		require.NoError(t, os.Mkdir(filepath.Dir(dockers), 0o700))
		require.NoError(t, os.WriteFile(dockers, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, wrong), 0o600))
		require.Equal(t, fault.Unauthorized, fault.Of(push()).Kind)

		podmans := filepath.Join(runtimeDir, "containers", "auth.json")
		require.NoError(t, os.Mkdir(filepath.Dir(podmans), 0o700))
		require.NoError(t, os.WriteFile(podmans, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, login), 0o600))
		require.NoError(t, push())

		require.NoError(t, os.WriteFile(podmans, []byte(`{"auths":`), 0o600))
		broken := fault.Of(push())
		require.Equal(t, fault.Invalid, broken.Kind, broken)
		require.Contains(t, broken.Message, podmans)
	})
}
