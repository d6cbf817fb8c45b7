package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

// The workers of a run die in its middle: the next ones find it, and there is no second.
func TestARunOutlivesItsWorkers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone(fmt.Sprintf("workspace = %q", w.workspace))
	control := w.worker("--control", "--listen", "off")
	node := w.worker("--node", w.node, "--listen", "off")
	w.source("v1", "")
	name := w.node + "-nights"
	image := w.image(name, "v1")
	w.define(name, w.service(name, "v1", "")+w.job("long", image, "env = { MODE = \"deaf\" }\nschedule = \"manual\"\nretries = 3")+
		w.job("once", image, "env = { MODE = \"deaf\" }\nschedule = \"manual\""))
	w.deploy(name)
	// runs starts a job, and returns its container.
	runs := func(job string) string {
		t.Helper()
		r := w.mcp("run", "--detach", name+"/"+job)
		require.Zero(t, r.code, r)
		var containers []string
		require.Eventually(t, func() bool { containers = w.jobContainers(name); return len(containers) == 1 }, time.Minute, 50*time.Millisecond)
		return containers[0]
	}
	ended := func(job string) (last fleet.JobRun) {
		t.Helper()
		require.Eventually(t, func() bool { last = w.runs(name + "/" + job)[0]; return last.Outcome != "" }, 2*time.Minute, 200*time.Millisecond)
		return last
	}

	container := runs("long")
	node.signal(syscall.SIGKILL)
	control.signal(syscall.SIGKILL)
	<-node.done
	<-control.done
	w.worker("--control", "--listen", "off")
	w.worker("--node", w.node, "--listen", "off")
	require.Equal(t, []string{container}, w.jobContainers(name))
	require.Equal(t, 1, w.mcp("run", name+"/long").code, "never twice side by side")
	w.podman("kill", "--signal", "TERM", container)
	last := ended("long")
	require.Equal(t, fleet.RunSucceeded, last.Outcome)
	require.Equal(t, 1, last.Attempts)

	require.Eventually(t, func() bool { return len(w.jobContainers(name)) == 0 }, time.Minute, 50*time.Millisecond)
	w.podman("rm", "--force", "--time", "0", runs("once"))
	last = ended("once")
	require.Equal(t, fleet.RunFailed, last.Outcome, "a run that was lost is not begun again without retries")
	require.Equal(t, 1, last.Attempts)
	require.Zero(t, w.mcp("undeploy", name, "-y").code)
	require.Empty(t, w.jobContainers(name))
}

// A component that podman does not restart has done its work when it ends well.
func TestAComponentThatEndsWellIsDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	const name = "oneshot"
	define := func(code, restart string) {
		w.define(name, w.service(name, "v1", `depends_on = ["prepare"]`)+fmt.Sprintf(
			"\n[[components]]\nname = \"prepare\"\nimage = %q\ncmd = [\"/app\", \"say\", \"prepared\", %q]\nrestart = %q\n",
			w.image(name, "v1"), code, restart))
	}
	define("3", "no")
	r := w.mcp("deploy", name)
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, "oneshot-prepare.next: exited with code 3")

	define("0", "no")
	require.Equal(t, workflows.Succeeded, w.deploy(name).Outcome)
	status := w.status(name)
	require.Equal(t, "done", status.Components[1].ObservedState)
	require.Empty(t, status.Components[1].Drift)
	started := w.podman("inspect", "--format", "{{.State.StartedAt}}", "oneshot-prepare")
	require.Equal(t, workflows.Unchanged, w.deploy(name).Outcome)
	require.Zero(t, w.mcp("stop", name).code)
	require.Zero(t, w.mcp("start", name, "--wait").code)
	require.Equal(t, started, w.podman("inspect", "--format", "{{.State.StartedAt}}", "oneshot-prepare"), "it is not run again")

	define("0", "on-failure:2")
	require.Equal(t, workflows.Succeeded, w.deploy(name).Outcome)
	require.NotEqual(t, started, w.podman("inspect", "--format", "{{.State.StartedAt}}", "oneshot-prepare"), "until it changes")
	require.Zero(t, w.mcp("undeploy", name, "-y").code)
}
