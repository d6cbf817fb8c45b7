package crash

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
)

// TestANodeThatReboots reboots a node that has a container of each restart policy,
// and one of a service that was stopped on purpose.
func TestANodeThatReboots(t *testing.T) {
	t.Parallel()
	r := pool.rig(t)
	m := r.node(nodeNames[0])
	sleeper, awake := &faultCase{rig: r, service: "sleeper", node: m.name}, &faultCase{rig: r, service: "awake", node: m.name}
	t.Cleanup(func() { each([]*faultCase{sleeper, awake}, 2, (*faultCase).clean) })
	for _, definition := range []text{v1, inactive} {
		require.NoError(t, r.define(sleeper.service, definition(sleeper)))
		require.NoError(t, r.run("deploy", sleeper.service))
	}
	var components []string
	for _, policy := range []string{"always", "unless-stopped", "on-failure:3", "no"} {
		name, _, _ := strings.Cut(policy, ":")
		components = append(components, component(name, r.shared("v1"), fmt.Sprintf("restart = %q", policy)))
	}
	require.NoError(t, r.define(awake.service, definition(awake, "", components...)))
	require.NoError(t, r.run("deploy", awake.service))
	before := r.stateOf(t, awake)
	path, args := m.inside("/bin/cat", arpNotify)
	setting, err := exec.Command(path, args...).Output()
	require.NoError(t, err)
	require.Equal(t, "1\n", string(setting), "the worker has the node's kernel announce addresses that move")

	require.NoError(t, m.powerOff(r))
	require.NoError(t, m.powerOn(t.Context(), r))
	require.NoError(t, await(timeout, "the node runs its containers", func() bool { return m.revived(t.Context(), r) }))
	m.unplugged.Store(false)
	after := r.stateOf(t, awake)
	for name, was := range before {
		is := after[name]
		require.Equal(t, was.Ports, is.Ports, "%s keeps its ports", name)
		again := strings.HasSuffix(name, "always") || strings.HasSuffix(name, "unless-stopped")
		require.Equal(t, again, is.State == runtime.Running, "%s is %s", name, is.State)
	}
	require.Len(t, after, len(before))
	require.NotEqual(t, runtime.Running, r.stateOf(t, sleeper)["sleeper-app"].State)
	answer, err := ask(awake.address(t.Context())) // that of "always": the first by name
	require.NoError(t, err)
	require.Equal(t, "v1", answer)
	rows, err := awake.rows(t.Context())
	require.NoError(t, err)
	containers, err := awake.containers(t.Context())
	require.NoError(t, err)
	require.NoError(t, judgePorts(rows, containers), "the registry agrees")

	// A container that is stopped by hand stays stopped when only the worker restarts.
	require.NoError(t, m.engine.Stop(t.Context(), "awake-always", 0))
	worker, began := r.parts[workerOf(m.name)], time.Now()
	worker.kill()
	require.NoError(t, worker.up(t.Context()))
	require.NoError(t, await(timeout, "the worker is back", func() bool { return r.announced(t.Context(), m.name, began) }))
	require.NotEqual(t, runtime.Running, r.stateOf(t, awake)["awake-always"].State)
}

// stateOf returns the containers of a service, by name.
func (r *rig) stateOf(t *testing.T, fc *faultCase) map[string]runtime.ContainerInfo {
	t.Helper()
	containers, err := fc.containers(t.Context())
	require.NoError(t, err)
	found := map[string]runtime.ContainerInfo{}
	for _, c := range containers {
		found[c.Name] = c.ContainerInfo
	}
	return found
}
