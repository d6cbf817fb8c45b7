package podman_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

func TestAnswersOfAnImageRegistry(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())

	for _, c := range []struct {
		name   string
		status int
		body   string
		kind   fault.Kind
	}{
		{"no credentials", http.StatusUnauthorized, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, fault.Unauthorized},
		{"401 without a reason", http.StatusUnauthorized, "", fault.Unauthorized},
		{"not enough rights", http.StatusForbidden, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`, fault.Unauthorized},
		{"403 without a reason", http.StatusForbidden, "", fault.Unauthorized},
		{"failing", http.StatusInternalServerError, "", fault.Unavailable},
		{"restarting", http.StatusServiceUnavailable, "try later", fault.Unavailable},
		{"behind a proxy that has lost it", http.StatusBadGateway, "<html>502</html>", fault.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					return // it is there; what it has to say comes later
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			image := strings.TrimPrefix(server.URL, "http://") + "/denied/timeout:v1" // its name says nothing
			err := engine.Pull(t.Context(), runtime.PullSpec{Image: image, Insecure: true})
			require.Equal(t, c.kind, fault.Of(err).Kind, err)

			buildEmpty(t, engine, image)
			err = engine.Push(t.Context(), runtime.PushSpec{Image: image, Insecure: true})
			require.Equal(t, c.kind, fault.Of(err).Kind, err)
		})
	}

	t.Run("one that speaks plain http and was not said to is Invalid, with a hint", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		defer server.Close()
		image := strings.TrimPrefix(server.URL, "http://") + "/shop:v1"
		err := engine.Pull(t.Context(), runtime.PullSpec{Image: image})
		require.Equal(t, fault.Invalid, fault.Of(err).Kind, err)
		require.Contains(t, fault.Of(err).Hint, "insecure")
	})
}

// buildEmpty builds an image with nothing in it.
func buildEmpty(t *testing.T, engine *podman.Engine, tag string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "Containerfile")
	require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nLABEL empty=yes\nCMD [\"/nothing\"]\n"), 0o600))
	_, err := engine.Build(t.Context(), runtime.BuildSpec{Tag: tag, Context: dir, Containerfile: file})
	require.NoError(t, err)
}
