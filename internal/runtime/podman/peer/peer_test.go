package peer_test

import (
	"maps"
	"net"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/peer"
	"github.com/metacircular/mcp/servicedef"
)

// own returns the process of this test, which is behind a socket of its own.
func own(t *testing.T) peer.Process {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "own.sock")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return peer.Of(t.Context(), socket)
}

func TestLimits(t *testing.T) {
	require.Equal(t, []string{"nofile", "nproc"}, slices.Sorted(maps.Keys(own(t).Limits())))
	require.Empty(t, peer.Of(t.Context(), filepath.Join(t.TempDir(), "none.sock")).Limits())
}

func TestLacks(t *testing.T) {
	info := runtime.EngineInfo{Version: "podman 4.3.1", Controllers: []string{"memory"}, LogDrivers: []string{"k8s-file"}}
	spec := runtime.ContainerSpec{Memory: 1 << 20, CPUs: 1, Container: servicedef.Container{
		Devices: []string{"/dev/null", "/dev/nosuchdevice"}, Sysctls: servicedef.Sysctls{"net.no.such": "1"},
		SecurityOpt: []string{"apparmor=web"}, Userns: "keep-id", LogDriver: "journald",
		ExtraHosts: []string{"gate:host-gateway"}, Files: []servicedef.File{{Target: "/a"}},
	}}
	reasons := map[string]string{}
	for _, lack := range own(t).Lacks(info, "", spec) {
		reasons[lack.Key] = lack.Reason
		require.NotEmpty(t, lack.Hint, lack.Key)
	}
	seen := map[string]string{
		"cpus":         "may not use the controller cpu of control groups",
		"security_opt": `has no AppArmor for "apparmor=web"`,
		"userns":       `is root's, and "keep-id" is for that of a user`,
		"extra_hosts":  "is podman 4.3.1, which does not know host-gateway",
		"log_driver":   "has no log driver journald",
		"files":        "has no directory for files",
	}
	unseen := maps.Clone(seen) // of a process that cannot be seen
	seen["devices"] = "has no device /dev/nosuchdevice"
	seen["sysctls.net.no.such"] = "has a kernel without it"
	require.Equal(t, seen, reasons)
	reasons = map[string]string{}
	for _, lack := range (peer.Process{}).Lacks(info, "", spec) {
		reasons[lack.Key] = lack.Reason
	}
	require.Equal(t, unseen, reasons)
}
