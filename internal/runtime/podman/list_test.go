package podman_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// A list in which something is removed while podman reads it is asked for again.
func TestAListInWhichSomethingGoes(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	buildApp(t, podman.New(service.Socket()))
	pass := toPodman(service.Socket())
	var failing atomic.Int32
	engine := podman.New(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lists := strings.HasSuffix(r.URL.Path, "/images/json") || strings.HasSuffix(r.URL.Path, "/containers/json")
		if lists && failing.Add(-1) >= 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"cause":"image not known","message":"reading image \"20c0\": locating image with ID \"20c0\": image not known","response":500}`))
			return
		}
		pass.ServeHTTP(w, r)
	})))
	failing.Store(2)
	_, err := engine.Summaries(t.Context(), runtime.Selection{Labels: map[string]string{runtime.LabelService: ""}})
	require.NoError(t, err)
	require.Negative(t, failing.Load())
	failing.Store(2)
	require.NoError(t, engine.RemoveImage(t.Context(), "localhost/app:v1"))
	require.Negative(t, failing.Load())
	failing.Store(1000)
	_, err = engine.Summaries(t.Context(), runtime.Selection{Labels: map[string]string{runtime.LabelService: ""}})
	require.True(t, fault.Is(err, fault.Unavailable), "it is worth another attempt: %v", err)
}
