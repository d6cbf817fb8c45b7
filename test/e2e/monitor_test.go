package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// monitorInterval is how often the nodes of these tests are looked at.
const monitorInterval = 2 * time.Second

// watched is a world with workers of its own, whose node is looked at often.
// It returns the node's worker.
func watched(t *testing.T) (*world, *process) {
	t.Helper()
	w := newWorld(t)
	w.alone(fmt.Sprintf("workspace = %q", w.workspace), "[monitor]", fmt.Sprintf("interval = %q", monitorInterval))
	w.worker("--control")
	worker := w.worker("--node", w.node)
	require.Eventually(t, func() bool { return w.mcp("node", "status", w.node).code == 0 }, 30*time.Second, 100*time.Millisecond)
	return w, worker
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

// events are those of a service.
func (w *world) events(service string) []event {
	w.t.Helper()
	r := w.mcp("events", service, "--node", w.node, "--json")
	require.Zero(w.t, r.code, r)
	var list []event
	r.decode(w.t, &list)
	return list
}

// told renders events as "kind" or "kind ended".
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
	digest := w.deploy(name).Components[0].Digest
	container, foreign := name+"-app", name+"-mine"
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", container, foreign) })
	w.awaitLooks(3)
	require.Empty(t, w.events(name), "a deploy is no drift")

	var want []string
	expect := func(more ...string) {
		t.Helper()
		changed := time.Now()
		want = append(want, more...)
		require.Eventually(t, func() bool { return len(w.events(name)) >= len(want) }, 30*time.Second, 100*time.Millisecond, "%v", want)
		events := w.events(name)
		require.Equal(t, want, told(events))
		require.Less(t, events[len(events)-1].At.Sub(changed), 2*monitorInterval)
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

	image := w.podman("images", "--quiet", "--no-trunc", "--filter", "reference="+w.image(name, "v1"))
	run := []string{"run", "--detach", "--authfile", filepath.Join(w.dir, "auth.json"), "--env", "PORT=80"}
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "auth.json"), []byte("{}"), 0o600))
	for drifted, other := range map[string]string{
		"wrong-image": image, // which the image registry has under another digest
		"replaced":    servicedef.ByDigest(w.image(name, "v1"), digest),
	} {
		w.podman("rm", "--force", container)
		expect("missing")
		require.Equal(t, "missing", drift())
		w.podman(append(run, "--name", container, other)...)
		expect("missing ended", drifted)
		require.Equal(t, drifted, drift())
		w.podman("rm", "--force", container) // a deploy would not touch it
		expect(drifted+" ended", "missing")
		w.deploy(name)
		expect("missing ended")
	}

	w.podman(append(run, "--name", foreign, "--label", "mcp.service="+name, "--label", "mcp.component=app", image)...)
	expect("orphan")
	w.podman("rm", "--force", foreign)
	expect("orphan ended")
	w.awaitLooks(2)
	require.Equal(t, want, told(w.events(name)))
	require.Empty(t, drift())

	text := w.mcp("events", name, "--node", w.node, "--since", "1h")
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
	require.NoError(t, w.temporal().GetWorkflow(t.Context(), "node/"+w.node, "").Get(t.Context(), nil))
	schedule, err := w.temporal().ScheduleClient().GetHandle(t.Context(), "monitor/"+w.node).Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, enums.SCHEDULE_OVERLAP_POLICY_SKIP, schedule.Schedule.Policy.Overlap)
	require.Equal(t, time.Minute, schedule.Schedule.Policy.CatchupWindow)
	require.Equal(t, monitorInterval, schedule.Schedule.Spec.Intervals[0].Every)
	nowhere := w.mcp("node", "show", "nowhere")
	require.Equal(t, 2, nowhere.code, nowhere)
	require.Contains(t, nowhere.stderr, "mcp node list")
	follower.signal(syscall.SIGINT)
	require.Zero(t, follower.code(30*time.Second))
}

func TestWhatATerminatedDeployLeavesIsTold(t *testing.T) {
	w, _ := watched(t)
	w.source("v1", "")
	name := w.node + "-half"
	w.define(name, w.service(name, "v1", ""))
	w.deploy(name)
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", name+"-app", name+"-app.next") })
	w.source("v2", "ENV MODE=deaf")
	w.define(name, strings.Replace(w.service(name, "v2", ""), `start_period = "2s"`, `start_period = "5m"`, 1))
	w.process("deploy", name)
	w.awaitAttempt("deploy/"+name, "RunContainer", 1)
	require.Eventually(t, func() bool { return len(w.containers(name)) == 2 }, 30*time.Second, 50*time.Millisecond)
	w.awaitLooks(2)
	require.Empty(t, w.events(name), "a deploy is no drift")
	require.NoError(t, w.temporal().TerminateWorkflow(t.Context(), "deploy/"+name, "", "by a test"))
	require.Eventually(t, func() bool { return slices.Contains(told(w.events(name)), "orphan") }, 30*time.Second, 100*time.Millisecond)
}
