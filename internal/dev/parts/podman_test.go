package parts_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
)

func startPodman(t *testing.T, dir string) *parts.Podman {
	t.Helper()
	p, err := parts.StartPodman(t.Context(), parts.PodmanOptions{Dir: dir, Private: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Destroy()) })
	return p
}

// call makes a request to podman's API and returns the status.
func call(t *testing.T, p *parts.Podman, method, path, body string) int {
	t.Helper()
	return ask(t, p, method, path, body, nil)
}

// ask is call, and decodes the answer.
func ask(t *testing.T, p *parts.Podman, method, path, body string, answer any) int {
	t.Helper()
	client := clientOf(p)
	request, err := http.NewRequestWithContext(t.Context(), method, "http://podman/v4.0.0/libpod"+path, strings.NewReader(body))
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	if answer != nil {
		require.NoError(t, json.NewDecoder(response.Body).Decode(answer))
	}
	return response.StatusCode
}

// clientOf returns a client of an engine's API.
func clientOf(p *parts.Podman) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(p.Socket(), "unix://"))
		},
	}}
}

// subnet makes a network and returns the subnet that podman chose for it.
func subnet(t *testing.T, p *parts.Podman, network string) string {
	t.Helper()
	var created struct{ Subnets []struct{ Subnet string } }
	require.Equal(t, http.StatusOK, ask(t, p, http.MethodPost, "/networks/create", `{"name":"`+network+`","driver":"bridge"}`, &created))
	require.Len(t, created.Subnets, 1)
	return created.Subnets[0].Subnet
}

func TestPodman(t *testing.T) {
	t.Run("a second start in the same directory finds its data", func(t *testing.T) {
		dir := t.TempDir()
		first := startPodman(t, dir)
		require.Equal(t, http.StatusCreated, call(t, first, http.MethodPost, "/volumes/create", `{"Name":"kept"}`))
		first.Stop()

		second := startPodman(t, dir)
		require.Equal(t, http.StatusNoContent, call(t, second, http.MethodGet, "/volumes/kept/exists", ""))
	})

	t.Run("two private engines share neither data nor network", func(t *testing.T) {
		here, there := startPodman(t, t.TempDir()), startPodman(t, t.TempDir())
		require.Equal(t, http.StatusCreated, call(t, here, http.MethodPost, "/volumes/create", `{"Name":"mine"}`))
		require.Equal(t, http.StatusNotFound, call(t, there, http.MethodGet, "/volumes/mine/exists", ""))
		require.NotEqual(t, subnet(t, here, "new"), subnet(t, there, "new"), "no container is on either network yet")
	})

	t.Run("a directory may be too long for a unix socket", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), strings.Repeat("long", 25))
		first := startPodman(t, dir)
		require.Equal(t, http.StatusOK, call(t, first, http.MethodGet, "/info", ""))
		first.Stop()

		second := startPodman(t, dir)
		require.Equal(t, first.Socket(), second.Socket())
	})

	t.Run("a boot discards state but not data", func(t *testing.T) {
		dir := t.TempDir()
		first := startPodman(t, dir)
		require.Equal(t, http.StatusCreated, call(t, first, http.MethodPost, "/volumes/create", `{"Name":"kept"}`))
		first.Stop()
		volatile := filepath.Dir(strings.TrimPrefix(first.Socket(), "unix://"))
		stale := filepath.Join(volatile, "tmp", "stale")
		require.NoError(t, os.WriteFile(stale, nil, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(volatile, "boot_id"), []byte("another boot\n"), 0o600))

		second := startPodman(t, dir)
		require.NoFileExists(t, stale)
		require.Equal(t, http.StatusNoContent, call(t, second, http.MethodGet, "/volumes/kept/exists", ""))
	})

	t.Run("a directory that cannot hold an overlay mount is refused", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a,b")
		_, err := parts.StartPodman(t.Context(), parts.PodmanOptions{Dir: dir, Private: true})
		require.ErrorContains(t, err, "comma")
	})

	t.Run("a destroyed engine leaves no mount and no data", func(t *testing.T) {
		dir := t.TempDir()
		p := startPodman(t, dir)
		require.Equal(t, http.StatusCreated, call(t, p, http.MethodPost, "/volumes/create", `{"Name":"gone"}`))
		require.NoError(t, p.Destroy())
		<-p.Done()
		require.NoDirExists(t, filepath.Dir(strings.TrimPrefix(p.Socket(), "unix://")))
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		require.NoError(t, err)
		require.NotContains(t, string(mounts), dir)
		require.NoDirExists(t, filepath.Join(dir, "root"))
	})
}
