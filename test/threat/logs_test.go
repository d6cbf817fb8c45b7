package threat

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/contract"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/servicedef"
)

// TestLogsOnDisk runs containers that write about three times as much as their log_size
// allows, also in a loop of restarts, and measures their log files in podman's storage
// while they do. A container must not fill the disk of its node: its log takes log_size
// at most, and twice as much across a restart.
func TestLogsOnDisk(t *testing.T) {
	service, err := parts.StartPodman(t.Context(), parts.PodmanOptions{Dir: t.TempDir(), Private: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	dir := contract.BuildApp(t)
	file := filepath.Join(dir, "Containerfile")
	require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nCOPY app /app\n"), 0o600))
	_, err = engine.Build(t.Context(), runtime.BuildSpec{Tag: "localhost/loud:v1", Context: dir, Containerfile: file})
	require.NoError(t, err)

	for _, c := range []struct {
		name, size string
		writes     int64 // MiB, each time that it runs
		restarts   int   // that it has to have
	}{
		{"by-default", "", 150, 0}, {"in-a-loop", "8m", 24, 4}, {"in-a-worse-loop", "8m", 22, 4},
	} {
		bound := servicedef.Component{LogSize: c.size}.LogBytes()
		spec := runtime.ContainerSpec{
			Name: c.name, Image: "localhost/loud:v1", LogSize: bound,
			Command: []string{"/app", "pour", strconv.FormatInt(c.writes, 10), "0s"},
		}
		if c.restarts > 0 {
			spec.Restart = "always"
		}
		_, err := engine.Run(t.Context(), spec)
		require.NoError(t, err)
		log := logPath(t, service.Socket(), c.name)
		var most, written int64
		require.Eventually(t, func() bool {
			most = max(most, sizeOf(t, log))
			info, err := engine.Inspect(t.Context(), c.name)
			written = int64(max(info.Restarts, 1)) * c.writes
			return err == nil && (c.restarts == 0 && info.State == runtime.Stopped || c.restarts > 0 && info.Restarts >= c.restarts)
		}, 5*time.Minute, 5*time.Millisecond)
		require.NoError(t, engine.Remove(t.Context(), c.name))
		require.Positive(t, most)
		limit := bound + 1<<20 // podman counts a line after it has written it
		if c.restarts > 0 {
			limit += bound // and from zero when a container starts again, with what is there
		}
		require.LessOrEqual(t, most, limit, c.name)
		t.Logf("bytes of log on disk, of a container that writes %d MiB with log_size %d MiB: at most %d (%.1f MiB)",
			written, bound>>20, most, float64(most)/(1<<20))
	}
}

// logPath is where podman stores the log of a container.
func logPath(t *testing.T, socket, name string) string {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(socket, "unix://"))
	}}
	response, err := (&http.Client{Transport: transport}).Get("http://podman/v4.0.0/libpod/containers/" + name + "/json")
	require.NoError(t, err)
	defer response.Body.Close()
	var found struct {
		HostConfig struct{ LogConfig struct{ Path string } }
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&found))
	require.NotEmpty(t, found.HostConfig.LogConfig.Path)
	return found.HostConfig.LogConfig.Path
}

// sizeOf is how many bytes a log takes, with what podman puts beside it when it begins
// anew.
func sizeOf(t *testing.T, log string) (size int64) {
	t.Helper()
	files, err := filepath.Glob(log + "*")
	require.NoError(t, err)
	for _, file := range files {
		if info, err := os.Stat(file); err == nil { // else it has just been replaced
			size += info.Size()
		}
	}
	return size
}
