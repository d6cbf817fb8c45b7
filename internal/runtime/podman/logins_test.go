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

// guardedRegistry returns the address, "host:port", of an image registry that
// requires a user and a password.
func guardedRegistry(t *testing.T, user, password string) string {
	t.Helper()
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: startImageRegistry(t).Address()})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="images"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		// The registry behind this proxy uses the header for its Location headers.
		r.Header.Set("X-Forwarded-Host", r.Host)
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestPushPullAndBuildUseAnAuthFile(t *testing.T) {
	host := guardedRegistry(t, "ann", "secret")
	conf := filepath.Join(t.TempDir(), "registries.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, "[[registry]]\nlocation = %q\ninsecure = true\n", host), 0o600))
	t.Setenv("CONTAINERS_REGISTRIES_CONF", conf) // a build has no option for an insecure registry
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })

	file := filepath.Join(t.TempDir(), "auth.json")
	login := base64.StdEncoding.EncodeToString([]byte("ann:secret"))
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, login), 0o600))
	empty := filepath.Join(t.TempDir(), "auth.json")
	require.NoError(t, os.WriteFile(empty, []byte(`{"auths":{}}`), 0o600))
	loggedIn, anonymous := podman.New(service.Socket()).LoginsFrom(file), podman.New(service.Socket()).LoginsFrom(empty)

	image := host + "/team/app:v1"
	buildEmpty(t, loggedIn, image)
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
		{"push with progress", func(e *podman.Engine) error { // its error is part of the stream
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
			require.Equal(t, fault.Unauthorized, fault.Of(step.do(anonymous)).Kind)
			require.NoError(t, step.do(loggedIn))
		})
	}
	t.Run("the file of podman login precedes that of docker login", func(t *testing.T) {
		home, runtimeDir := t.TempDir(), t.TempDir()
		for _, variable := range []string{"REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_CONFIG_HOME"} {
			t.Setenv(variable, "")
		}
		t.Setenv("HOME", home)
		t.Setenv("XDG_RUNTIME_DIR", runtimeDir)
		push := func() error {
			return podman.New(service.Socket()).Push(t.Context(), runtime.PushSpec{Image: image, Insecure: true})
		}
		buildEmpty(t, loggedIn, image)
		require.Equal(t, fault.Unauthorized, fault.Of(push()).Kind, "there is no login")

		wrong := base64.StdEncoding.EncodeToString([]byte("ann:wrong"))
		dockerFile := filepath.Join(home, ".docker", "config.json")
		require.NoError(t, os.Mkdir(filepath.Dir(dockerFile), 0o700))
		require.NoError(t, os.WriteFile(dockerFile, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, wrong), 0o600))
		require.Equal(t, fault.Unauthorized, fault.Of(push()).Kind)

		podmanFile := filepath.Join(runtimeDir, "containers", "auth.json")
		require.NoError(t, os.Mkdir(filepath.Dir(podmanFile), 0o700))
		require.NoError(t, os.WriteFile(podmanFile, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, login), 0o600))
		require.NoError(t, push())

		require.NoError(t, os.WriteFile(podmanFile, []byte(`{"auths":`), 0o600))
		broken := fault.Of(push())
		require.Equal(t, fault.Invalid, broken.Kind, broken)
		require.Contains(t, broken.Message, podmanFile)
	})
}
