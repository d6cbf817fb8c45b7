package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/contract"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/servicedef"
)

// arpNotify is the kernel setting that a node's worker makes.
const arpNotify = "/proc/sys/net/ipv4/conf/all/arp_notify"

// A container that is removed may take the bridge's address with it. A container
// that stays learns the new one before its next request: it may owe an answer.
func TestAContainerLearnsItsGatewaysNewAddress(t *testing.T) {
	t.Parallel()
	hosts, err := newNetwork(1)
	t.Cleanup(func() { require.NoError(t, hosts.remove()) })
	require.NoError(t, err)
	h := hosts.hosts[0]
	path, args := h.inside("/bin/sh", "-c", "echo 1 > "+arpNotify)
	require.NoError(t, run(path, args...))
	service, err := parts.StartPodman(t.Context(), parts.PodmanOptions{Dir: t.TempDir(), Private: true, Namespace: h.netns()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	dir := contract.BuildApp(t)
	file := filepath.Join(dir, "Containerfile")
	require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nCOPY app /app\n"), 0o600))
	_, err = engine.Build(t.Context(), runtime.BuildSpec{Tag: "localhost/app:v1", Context: dir, Containerfile: file})
	require.NoError(t, err)
	start := func(name string, port int) {
		t.Helper()
		_, err := engine.Run(t.Context(), runtime.ContainerSpec{
			Name: name, Image: "localhost/app:v1", Command: []string{"/app", "serve"}, Env: map[string]string{"PORT": "8080"},
			Ports: []servicedef.Port{{IP: h.address, Host: port, Container: 8080, Protocol: "tcp"}},
		})
		require.NoError(t, err)
	}

	start("stays", 20000)
	require.NoError(t, await(timeout, "the container answers", func() bool {
		_, err := ask(h.address + ":20000")
		return err == nil
	}))
	neighbours := func() string {
		t.Helper()
		result, err := engine.Exec(t.Context(), "stays", []string{"/app", "cat", "/proc/net/arp"})
		require.NoError(t, err)
		require.Zero(t, result.ExitCode, result.Output())
		return result.Output()
	}
	changes := 0
	learns := func(change func()) {
		t.Helper()
		_, err := ask(h.address + ":20000") // so that the container knows the bridge
		require.NoError(t, err)
		before := h.bridge(t)
		change()
		now, known := h.bridge(t), neighbours()
		if now == before {
			return
		}
		require.NotContains(t, known, before, "the container's neighbours")
		if strings.Contains(known, now) {
			changes++ // the kernel may also have forgotten a neighbour that was not asked for a while
		}
	}
	for changes < 4 { // each container that comes and goes makes two or none
		learns(func() { start("goes", 20001) })
		learns(func() { require.NoError(t, engine.Remove(t.Context(), "goes")) })
	}
}

// bridge returns the hardware address of the one bridge that podman has made.
func (h *host) bridge(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("ip", "-n", h.namespace, "-br", "link", "show", "type", "bridge").Output()
	require.NoError(t, err)
	fields := strings.Fields(string(out)) // mcp-d5bf4f03 UP 3e:99:bd:d5:e4:90 <…
	require.Greater(t, len(fields), 2, fmt.Sprintf("%q", out))
	return fields[2]
}
