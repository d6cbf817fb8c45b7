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

// TestANodeThatReboots has a container of each restart policy, and one of a
// service that was stopped on purpose.
func TestANodeThatReboots(t *testing.T) {
	r := newHall(t, 1, 2).rigs[0]
	m := r.node(nodeNames[0])
	sleeper, awake := &play{rig: r, service: "sleeper", home: m.name}, &play{rig: r, service: "awake", home: m.name}
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
	require.NoError(t, await(patience, "the node runs what it should", func() bool { return m.revived(t.Context(), r) }))
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

	// What somebody stops by hand stays so when the worker alone begins anew.
	require.NoError(t, m.engine.Stop(t.Context(), "awake-always", 0))
	worker, began := r.parts[workerOf(m.name)], time.Now()
	worker.kill()
	require.NoError(t, worker.up(t.Context()))
	require.NoError(t, await(patience, "the worker is back", func() bool { return r.announced(t.Context(), m.name, began) }))
	require.NotEqual(t, runtime.Running, r.stateOf(t, awake)["awake-always"].State)
}

// stateOf are the containers of a service, by name.
func (r *rig) stateOf(t *testing.T, p *play) map[string]runtime.ContainerInfo {
	t.Helper()
	containers, err := p.containers(t.Context())
	require.NoError(t, err)
	found := map[string]runtime.ContainerInfo{}
	for _, c := range containers {
		found[c.Name] = c.ContainerInfo
	}
	return found
}
