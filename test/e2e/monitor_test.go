package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// monitorInterval is how often the nodes of these tests are observed.
const monitorInterval = 2 * time.Second

// watched is a world with workers of its own, whose node is observed often. It
// returns the node's worker.
func watched(t *testing.T) (*world, *process) {
	t.Helper()
	w := newWorld(t)
	w.alone(fmt.Sprintf("workspace = %q", w.workspace), "[monitor]", fmt.Sprintf("interval = %q", monitorInterval))
	w.worker("--control")
	worker := w.worker("--node", w.node)
	require.Eventually(t, func() bool { return w.mcp("node", "status", w.node).code == 0 }, time.Minute, 250*time.Millisecond)
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
	// Container and Path are its subject.
	Container, Path string
}

// events are those of a service.
func (w *world) events(service string) []event {
	w.t.Helper()
	return w.allEvents(service)
}

// allEvents are those of the world's node that more arguments select.
func (w *world) allEvents(more ...string) []event {
	w.t.Helper()
	r := w.mcp(append([]string{"events", "--node", w.node, "--json"}, more...)...)
	require.Zero(w.t, r.code, r)
	var list []event
	r.decode(w.t, &list)
	return list
}

// kinds renders events as "kind" or "kind ended".
func kinds(list []event) []string {
	kinds := []string{}
	for _, e := range list {
		text := e.Kind
		if e.Ended {
			text += " ended"
		}
		kinds = append(kinds, text)
	}
	return kinds
}

// awaitObservations waits for n observations that begin from now on and succeed.
func (w *world) awaitObservations(n int) {
	w.t.Helper()
	now := time.Now()
	require.Eventually(w.t, func() bool { return w.observations(now, now.Add(time.Hour)) >= n }, time.Minute, 500*time.Millisecond)
}

// run runs a container without mcp.
func (w *world) run(args ...string) {
	w.t.Helper()
	logins := filepath.Join(w.dir, "logins.json")
	require.NoError(w.t, os.WriteFile(logins, []byte("{}"), 0o600))
	w.podman(append([]string{"run", "--detach", "--authfile", logins, "--env", "PORT=80"}, args...)...)
}

// unobserved calls do while the monitor is paused: no observation sees a change of
// several steps half done.
func (w *world) unobserved(do func()) {
	w.t.Helper()
	schedule := w.temporal().ScheduleClient().GetHandle(w.t.Context(), "monitor")
	require.NoError(w.t, schedule.Pause(w.t.Context(), client.SchedulePauseOptions{}))
	require.Eventually(w.t, func() bool {
		described, err := schedule.Describe(w.t.Context())
		return err == nil && len(described.Info.RunningWorkflows) == 0
	}, time.Minute, 250*time.Millisecond)
	do()
	require.NoError(w.t, schedule.Unpause(w.t.Context(), client.ScheduleUnpauseOptions{}))
}

// observations is how many observations of the world's node succeeded that began
// after a time, up to another.
func (w *world) observations(after, upTo time.Time) int {
	w.t.Helper()
	n, err := strconv.Atoi(w.sql(fmt.Sprintf("select count(*) from node_samples where node = '%s' and at > '%s' and at <= '%s'",
		w.node, after.Format(time.RFC3339Nano), upTo.Format(time.RFC3339Nano))))
	require.NoError(w.t, err)
	return n
}

// nodeStatus is mcp node status of the world's node.
func (w *world) nodeStatus() (status struct {
	State         string
	Seen, Since   time.Time
	UptimeSeconds int64 `json:"uptime_seconds"`
	Runtime, MCP  string
	Memory, Disk  fleet.Usage
	Containers    int
}) {
	w.t.Helper()
	r := w.mcp("node", "status", w.node, "--json")
	require.Zero(w.t, r.code, r)
	list := []any{&status}
	r.decode(w.t, &list)
	return status
}

func TestAChangeByHandIsOneEventAndItsEndAnother(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	w.source("v1", "")
	name := w.node + "-shop"
	w.define(name, w.service(name, "v1", ""))
	released := w.deploy(name)
	digest := released.Components[0].Digest
	container, foreign := name+"-app", name+"-mine"
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", container, foreign) })
	w.awaitObservations(3)
	require.Empty(t, w.events(name), "a deploy is no drift")

	var want []string
	expect := func(more ...string) {
		t.Helper()
		changed := time.Now()
		want = append(want, more...)
		require.Eventually(t, func() bool { return len(w.events(name)) >= len(want) }, time.Minute, 250*time.Millisecond, "%v", want)
		events := w.events(name)
		require.Equal(t, want, kinds(events))
		require.LessOrEqual(t, w.observations(changed, events[len(events)-1].At), 2)
	}
	drift := func() string { return strings.Join(w.status(name).Components[0].Drift, ",") }
	remove := func() { w.unobserved(func() { w.podman("rm", "--force", container) }) } // it is stopped first

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
	for drifted, other := range map[string]string{
		"wrong-image": image, // which the image registry has under another digest
		"replaced":    servicedef.ByDigest(w.image(name, "v1"), digest),
	} {
		remove()
		expect("missing")
		require.Equal(t, "missing", drift())
		port := portOf(t, released, "app")
		w.run("--name", container, "--publish", fmt.Sprintf("127.0.0.1:%[1]d:%[1]d", port), other)
		expect("missing ended", drifted)
		require.Equal(t, drifted, drift())
		remove() // a deploy would not touch it
		expect(drifted+" ended", "missing")
		released = w.deploy(name)
		expect("missing ended")
	}

	w.run("--name", foreign, "--label", "mcp.service="+name, "--label", "mcp.component=app", image)
	expect("orphan")
	w.podman("rm", "--force", foreign)
	expect("orphan ended")
	w.awaitObservations(2)
	require.Equal(t, want, kinds(w.events(name)))
	require.Empty(t, drift())

	text := w.mcp("events", name, "--node", w.node, "--since", "1h")
	require.Zero(t, text.code, text)
	require.Len(t, strings.Split(strings.TrimSpace(text.stdout), "\n"), len(want))
	require.Regexp(t, `missing +there is no such container`, text.stdout)
	require.Regexp(t, `missing +over, after \d+s`, text.stdout)
}

func TestANodeThatGoesAwayAndComesBackIsOneEvent(t *testing.T) {
	t.Parallel()
	w, node := watched(t)
	w.awaitObservations(1)
	status := w.nodeStatus()
	require.Equal(t, fleet.NodeReady, status.State)
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
		return kinds(list)
	}
	node.signal(syscall.SIGKILL)
	require.Eventually(t, func() bool { return w.nodeStatus().State == fleet.NodeUnreachable }, time.Minute, 500*time.Millisecond)
	away := w.nodeStatus()
	require.True(t, away.Since.After(away.Seen))
	require.Equal(t, status.Disk.Total, away.Disk.Total, "from its last answer")
	require.Contains(t, w.mcp("node", "list").stdout, "unreachable")

	w.worker("--node", w.node)
	require.Eventually(t, func() bool { return len(mine()) >= 2 }, time.Minute, 500*time.Millisecond)
	w.awaitObservations(2)
	require.Equal(t, fleet.NodeReady, w.nodeStatus().State)
	require.Equal(t, []string{"unreachable", "back ended"}, mine())
	require.NoError(t, w.temporal().GetWorkflow(t.Context(), "node/"+w.node, "").Get(t.Context(), nil))
	schedule, err := w.temporal().ScheduleClient().GetHandle(t.Context(), "monitor").Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, enums.SCHEDULE_OVERLAP_POLICY_SKIP, schedule.Schedule.Policy.Overlap)
	require.Equal(t, time.Minute, schedule.Schedule.Policy.CatchupWindow)
	require.Equal(t, monitorInterval, schedule.Schedule.Spec.Intervals[0].Every)
	var kept struct{ History fleet.NodeHistory }
	w.mcp("node", "show", w.node, "--json").decode(t, &kept)
	require.Positive(t, kept.History.Observations)
	for _, figure := range []fleet.Range{kept.History.Memory, kept.History.Disk} {
		require.Positive(t, figure.Low)
		require.True(t, figure.Low <= figure.Mean && figure.Mean <= figure.High && figure.High <= 100, "%+v", figure)
	}
	require.Regexp(t, `memory +\d+–\d+ %, \d+ % on average`, w.mcp("node", "show", w.node, "--since", "1h").stdout)
	require.Equal(t, 2, w.mcp("node", "show", w.node, "--since", "-1h").code)

	nowhere := w.mcp("node", "show", "nowhere")
	require.Equal(t, 2, nowhere.code, nowhere)
	require.Contains(t, nowhere.stderr, "mcp node list")
	follower.signal(syscall.SIGINT)
	require.Equal(t, 130, follower.code(30*time.Second))
}

func TestOrphansOfATerminatedDeployAreEvents(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	w.source("v1", "")
	name := w.node + "-half"
	w.define(name, w.service(name, "v1", ""))
	w.deploy(name)
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", name+"-app", name+"-app.next") })
	w.source("v2", "ENV MODE=deaf")
	w.define(name, w.startingWithin("5m", name, "v2", ""))
	w.process("deploy", name)
	w.awaitAttempt("deploy/"+name, "RunContainer", 1)
	require.Eventually(t, func() bool { return len(w.containers(name)) == 2 }, time.Minute, 50*time.Millisecond)
	w.awaitObservations(2)
	require.Empty(t, w.events(name), "a deploy is no drift")
	require.NoError(t, w.temporal().TerminateWorkflow(t.Context(), "deploy/"+name, "", "by a test"))
	require.Eventually(t, func() bool { return slices.Contains(kinds(w.events(name)), "orphan") }, time.Minute, 250*time.Millisecond)
}

func TestOldHistoryIsThinnedBySchedule(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	w.awaitObservations(1)
	// A sample of some days ago, and an hour and an event past their retention.
	w.sql(fmt.Sprintf(`
		insert into node_samples values ('%[1]s', now() - interval '3 days', 10, 1, 1, 1, 1);
		insert into node_hours values ('%[1]s', date_trunc('hour', now()) - interval '40 days', 120, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
		insert into events (at, kind, ended, node, service, component, container, detail, since)
		select now() - interval '40 days', 'stopped', false, '%[1]s', 'gone', 'app', 'gone-app', '', now()`, w.node))
	require.Len(t, w.events("gone"), 1)
	retention := w.temporal().ScheduleClient().GetHandle(t.Context(), "retention")
	described, err := retention.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, enums.SCHEDULE_OVERLAP_POLICY_SKIP, described.Schedule.Policy.Overlap)
	require.Equal(t, time.Hour, described.Schedule.Spec.Intervals[0].Every)
	require.NoError(t, retention.Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	left := "select (select count(*) from node_samples where node = '%[1]s' and at < now() - interval '1 day'), count(*), max(cpu_high) from node_hours where node = '%[1]s'"
	require.Eventually(t, func() bool { return w.sql(fmt.Sprintf(left, w.node)) == "0|1|10" }, time.Minute, 200*time.Millisecond)
	require.Eventually(t, func() bool { return len(w.events("gone")) == 0 }, time.Minute, 200*time.Millisecond)
}

// TestFaultsOfANodesPartsAreEvents breaks, one after the other, a released container
// and what it needs.
func TestFaultsOfANodesPartsAreEvents(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	w.source("v1", "")
	name := w.node + "-shop"
	data := filepath.Join(w.dir, "data")
	require.NoError(t, os.MkdirAll(data, 0o755))
	require.NoError(t, syscall.Mount("tmpfs", data, "tmpfs", 0, "size=4m"))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(data, syscall.MNT_DETACH)) })
	w.define(name, w.service(name, "v1", fmt.Sprintf("volumes = [%q]", data+":/data")))
	released := w.deploy(name)
	digest := released.Components[0].Digest
	container, foreign := name+"-app", w.node+"-mine"
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", container, foreign) })
	// again replaces the released container, with more arguments of podman run.
	again := func(args ...string) {
		var labels map[string]string
		require.NoError(t, json.Unmarshal([]byte(w.podman("inspect", "--format", "{{json .Config.Labels}}", container)), &labels))
		args = append(args, "--name", container)
		for key, value := range labels {
			args = append(args, "--label", key+"="+value)
		}
		w.unobserved(func() {
			w.podman("rm", "--force", container)
			w.run(append(args, servicedef.ByDigest(w.image(name, "v1"), digest))...)
		})
	}
	// of are the events of one kind of this test.
	of := func(kind string) (list []event) {
		for _, e := range w.allEvents() {
			if e.Kind == kind && (e.Container == container || e.Path == data) {
				list = append(list, e)
			}
		}
		return list
	}
	// expect waits until there are n events of a kind, the last of them from one of
	// the next two observations.
	expect := func(kind string, n int, ended bool) {
		t.Helper()
		changed := time.Now()
		require.Eventually(t, func() bool { return len(of(kind)) >= n }, time.Minute, 250*time.Millisecond, kind)
		require.Len(t, of(kind), n)
		last := of(kind)[n-1]
		require.Equal(t, ended, last.Ended)
		require.LessOrEqual(t, w.observations(changed, last.At), 2)
	}

	t.Run("a file system of a volume that fills", func(t *testing.T) {
		ballast := filepath.Join(data, "ballast")
		require.NoError(t, os.WriteFile(ballast, make([]byte, 4<<20*92/100), 0o600))
		expect("disk", 1, false)
		shown := w.mcp("node", "show", w.node).stdout
		require.Regexp(t, `disk +0\.0 of 0\.0 GiB \(9\d %\), `+data, shown)
		require.Regexp(t, `drift +- disk since .*: `+data+`: 9\d % of `, shown)
		require.NoError(t, os.Truncate(ballast, 4<<20*87/100))
		w.awaitObservations(2)
		require.Len(t, of("disk"), 1, "it is still nearly full")
		require.NoError(t, os.Remove(ballast))
		expect("disk", 2, true)
	})

	t.Run("a health check that fails", func(t *testing.T) {
		again("--health-cmd", `["/app", "print", "0", "1"]`, "--health-interval", "disable", "--health-retries", "1")
		w.awaitObservations(2)
		require.Empty(t, of("unhealthy"), "it has not run yet")
		_ = exec.Command("podman", "--url", shared.platform.Info().Podman, "healthcheck", "run", container).Run() // it fails
		expect("unhealthy", 1, false)
		again()
		expect("unhealthy", 2, true)
	})

	t.Run("a program that ends at once, again and again", func(t *testing.T) {
		again("--restart", "always", "--env", "MODE=exit")
		require.Eventually(t, func() bool { return len(of("flapping")) == 1 }, time.Minute, 250*time.Millisecond)
		before := len(w.events(name))
		w.awaitObservations(3)
		require.Len(t, w.events(name), before, "it still flaps, which is no new event")
		again()
		expect("flapping", 2, true)
	})

	t.Run("a container that no rule explains", func(t *testing.T) {
		w.run("--name", foreign, servicedef.ByDigest(w.image(name, "v1"), digest))
		w.awaitObservations(2)
		for _, e := range w.allEvents() {
			require.NotEqual(t, foreign, e.Container, "it is of no service")
		}
		var list []struct {
			Container string
			Managed   bool
		}
		w.mcp("ps", "--node", w.node, "--json").decode(t, &list)
		require.Contains(t, list, struct {
			Container string
			Managed   bool
		}{foreign, false})
	})
}
