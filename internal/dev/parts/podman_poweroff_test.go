package parts_test

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/runtime/contract"
)

// TestPowerOffWhileContainersStart stops an engine at several moments of the start of its
// containers, which takes processes that outlive podman's service: conmon and runc.
func TestPowerOffWhileContainersStart(t *testing.T) {
	const containers = 4
	dir := t.TempDir()
	p := startPodman(t, dir)
	require.Equal(t, http.StatusOK, call(t, p, http.MethodPost, "/images/import?reference=app", appArchive(t)))
	// Engines share the table of used addresses, which is by name of network.
	network := rand.Text()
	subnet(t, p, network)
	for i := range containers {
		spec := fmt.Sprintf(`{"name":"c%d","image":"localhost/app:latest","command":["/app","stubborn"],"networks":{%q:{}}}`, i, network)
		require.Equal(t, http.StatusCreated, call(t, p, http.MethodPost, "/containers/create", spec))
	}
	for pause := time.Duration(0); pause <= 600*time.Millisecond; pause += 150 * time.Millisecond {
		var starts sync.WaitGroup
		for i := range containers {
			starts.Go(func() { start(t, p, i) })
		}
		time.Sleep(pause)
		require.NoError(t, p.PowerOff())
		starts.Wait()
		require.Empty(t, processes("cmdline", dir, volatileOf(p)))
		require.NoDirExists(t, volatileOf(p))

		p = startPodman(t, dir)
		var found []struct{ ID, State string }
		require.Equal(t, http.StatusOK, ask(t, p, http.MethodGet, "/containers/json?all=true", "", &found))
		require.Len(t, found, containers)
		for _, container := range found {
			require.NotEqual(t, "running", container.State)
			require.Empty(t, processes("cgroup", "libpod-"+container.ID))
		}
	}
	for i := range containers {
		require.Equal(t, http.StatusNoContent, start(t, p, i), "the containers start after each loss of power")
	}
}

// start starts a container and returns the status of the answer, or 0 if there was none,
// as when the service was killed.
func start(t *testing.T, p *parts.Podman, i int) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("http://podman/v4.0.0/libpod/containers/c%d/start", i), nil)
	if err != nil {
		return 0
	}
	response, err := clientOf(p).Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// appArchive is the root file system of an image with the test program.
func appArchive(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile(filepath.Join(contract.BuildApp(t), "app"))
	require.NoError(t, err)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "app", Mode: int64(os.ModePerm), Size: int64(len(program))}))
	_, err = w.Write(program)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return archive.String()
}

func volatileOf(p *parts.Podman) string {
	return filepath.Dir(strings.TrimPrefix(p.Socket(), "unix://"))
}

// processes lists the processes whose file of that name contains one of the texts.
func processes(file string, texts ...string) []string {
	var found []string
	paths, _ := filepath.Glob("/proc/[0-9]*/" + file)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		for _, text := range texts {
			if err == nil && bytes.Contains(content, []byte(text)) {
				found = append(found, path)
			}
		}
	}
	return found
}
