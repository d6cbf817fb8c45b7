package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan"
)

// monitorInterval is how often the nodes of these tests are looked at.
const monitorInterval = time.Second

// watched is a world with workers of its own, whose node is looked at often.
// It returns the node's worker.
func watched(t *testing.T) (*world, *process) {
	t.Helper()
	w := newWorld(t)
	w.alone(fmt.Sprintf("workspace = %q", w.workspace), "[monitor]", fmt.Sprintf("interval = %q", monitorInterval))
	w.worker("--control")
	return w, w.worker("--node", w.node)
}

// event is the part of an event that these tests read.
type event struct {
	ID    int64
	Kind  string
	Ended bool
	Node  string
	At    time.Time
	Since time.Time
}

// events are those of the world's node, rendered as "kind" or "kind ended",
// but for orphans of other tests, whose containers this podman has too.
func (w *world) events(args ...string) []string {
	w.t.Helper()
	r := w.mcp(append([]string{"events", "--node", w.node, "--json"}, args...)...)
	require.Zero(w.t, r.code, r)
	var list []event
	r.decode(w.t, &list)
	return told(list)
}

func told(list []event) []string {
	told := []string{}
	for _, e := range list {
		text := e.Kind
		if e.Ended {
			text += " ended"
		}
		told = append(told, text)
	}
	return told
}

// awaitLooks waits until n more looks have been recorded.
func (w *world) awaitLooks(n int) {
	w.t.Helper()
	last := w.nodeStatus().Seen
	for range n {
		require.Eventually(w.t, func() bool { return w.nodeStatus().Seen.After(last) }, 30*time.Second, 100*time.Millisecond)
		last = w.nodeStatus().Seen
	}
}

// nodeStatus is mcp node status of the world's node.
func (w *world) nodeStatus() (status struct {
	State         string
	Seen, Since   time.Time
	UptimeSeconds int64 `json:"uptime_seconds"`
	Runtime, MCP  string
	Memory, Disk  plan.Usage
	Containers    int
}) {
	w.t.Helper()
	r := w.mcp("node", "status", w.node, "--json")
	require.Zero(w.t, r.code, r)
	list := []any{&status}
	r.decode(w.t, &list)
	return status
}

func TestWhatIsChangedByHandIsToldOnceAndItsEndToo(t *testing.T) {
	w, _ := watched(t)
	w.source("v1", "")
	name := w.node + "-shop"
	w.define(name, w.service(name, "v1", ""))
	w.deploy(name)
	container, foreign := name+"-app", name+"-mine"
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", container, foreign) })
	w.awaitLooks(3)
	require.Empty(t, w.events(name), "a deploy is no drift")

	var want []string
	expect := func(more ...string) {
		t.Helper()
		want = append(want, more...)
		changed := time.Now()
		require.Eventually(t, func() bool { return len(w.events(name)) >= len(want) }, 30*time.Second, 100*time.Millisecond, "%v", want)
		t.Logf("%s after %s", more, time.Since(changed).Round(10*time.Millisecond))
		w.awaitLooks(2)
		require.Equal(t, want, w.events(name), "and not again")
	}
	drift := func() string { return strings.Join(w.status(name).Components[0].Drift, ",") }

	w.podman("stop", "--time", "0", container)
	expect("stopped")
	require.Equal(t, "stopped", drift())
	w.podman("start", container)
	expect("stopped ended")

	w.podman("kill", container)
	expect("stopped")
	w.podman("start", container)
	expect("stopped ended")

	w.podman("rename", container, foreign)
	expect("renamed")
	require.Equal(t, "renamed", drift())
	w.podman("rename", foreign, container)
	expect("renamed ended")

	w.podman("rm", "--force", container)
	expect("missing")
	require.Equal(t, "missing", drift())
	image := w.podman("images", "--quiet", "--no-trunc", "--filter", "reference="+w.image(name, "v1"))
	w.podman("run", "--detach", "--name", container, "--env", "PORT=80", image)
	expect("missing ended", "replaced")
	require.Equal(t, "replaced", drift())
	w.deploy(name)
	expect("replaced ended")

	w.podman("run", "--detach", "--name", foreign, "--env", "PORT=80", "--label", "mcp.service="+name, "--label", "mcp.component=app", image)
	expect("orphan")
	w.podman("rm", "--force", foreign)
	expect("orphan ended")
	require.Empty(t, drift())

	text := w.mcp("events", name, "--since", "1h")
	require.Zero(t, text.code, text)
	require.Len(t, strings.Split(strings.TrimSpace(text.stdout), "\n"), len(want))
	require.Regexp(t, `missing +there is no such container`, text.stdout)
	require.Regexp(t, `missing +over, after \d+s`, text.stdout)
}

func TestANodeThatGoesAwayAndComesBackIsToldOnce(t *testing.T) {
	w, node := watched(t)
	w.awaitLooks(1)
	status := w.nodeStatus()
	require.Equal(t, plan.NodeReady, status.State)
	require.Positive(t, status.UptimeSeconds)
	require.Regexp(t, `^podman \d`, status.Runtime)
	require.NotEmpty(t, status.MCP)
	require.Positive(t, status.Memory.Total)
	require.Positive(t, status.Disk.Used)
	shown := w.mcp("node", "show", w.node)
	require.Regexp(t, `engine +podman \d\S+, network (netavark|cni), cgroups v[12]`, shown.stdout)

	follower := w.process("events", "--node", w.node, "--follow", "--json")
	mine := func() []string {
		var list []event
		for line := range strings.Lines(follower.stdout.String()) {
			var e event
			require.NoError(t, json.Unmarshal([]byte(line), &e))
			if e.Kind == "unreachable" || e.Kind == "back" {
				list = append(list, e)
			}
		}
		return told(list)
	}
	node.signal(syscall.SIGKILL)
	require.Eventually(t, func() bool { return w.nodeStatus().State == plan.NodeUnreachable }, time.Minute, 200*time.Millisecond)
	away := w.nodeStatus()
	require.True(t, away.Since.After(away.Seen))
	require.Equal(t, status.Disk.Total, away.Disk.Total, "what it said last")
	require.Contains(t, w.mcp("node", "list").stdout, "unreachable")

	w.worker("--node", w.node)
	require.Eventually(t, func() bool { return len(mine()) >= 2 }, time.Minute, 200*time.Millisecond)
	w.awaitLooks(2)
	require.Equal(t, plan.NodeReady, w.nodeStatus().State)
	require.Equal(t, []string{"unreachable", "back ended"}, mine())
	follower.signal(syscall.SIGINT)
	require.Zero(t, follower.code(30*time.Second))
}
