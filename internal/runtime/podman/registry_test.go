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
		{"insufficient rights", http.StatusForbidden, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`, fault.Unauthorized},
		{"403 without a reason", http.StatusForbidden, "", fault.Unauthorized},
		{"failing", http.StatusInternalServerError, "", fault.Unavailable},
		{"restarting", http.StatusServiceUnavailable, "try later", fault.Unavailable},
		{"unreachable from its proxy", http.StatusBadGateway, "<html>502</html>", fault.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					return // other paths answer with the status
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			image := strings.TrimPrefix(server.URL, "http://") + "/denied/timeout:v1" // the name must not be taken for a symptom
			err := engine.Pull(t.Context(), runtime.PullSpec{Image: image, Insecure: true})
			require.Equal(t, c.kind, fault.Of(err).Kind, err)

			buildEmpty(t, engine, image)
			err = engine.Push(t.Context(), runtime.PushSpec{Image: image, Insecure: true})
			require.Equal(t, c.kind, fault.Of(err).Kind, err)
		})
	}

	t.Run("plain http without permission is Invalid, with a hint", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		defer server.Close()
		image := strings.TrimPrefix(server.URL, "http://") + "/shop:v1"
		err := engine.Pull(t.Context(), runtime.PullSpec{Image: image})
		require.Equal(t, fault.Invalid, fault.Of(err).Kind, err)
		require.Contains(t, fault.Of(err).Hint, "insecure")
	})
}

// buildEmpty builds an image without files.
func buildEmpty(t *testing.T, engine *podman.Engine, tag string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "Containerfile")
	require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nLABEL empty=yes\nCMD [\"/nothing\"]\n"), 0o600))
	_, err := engine.Build(t.Context(), runtime.BuildSpec{Tag: tag, Context: dir, Containerfile: file})
	require.NoError(t, err)
}
