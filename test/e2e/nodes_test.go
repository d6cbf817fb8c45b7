package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

// elsewhere is a configuration like w's, of another machine.
func (w *world) elsewhere() (config string) {
	w.t.Helper()
	text, err := os.ReadFile(w.config())
	require.NoError(w.t, err)
	config = filepath.Join(w.dir, "elsewhere.toml")
	machine := fmt.Sprintf("[node]\nmachine = %q\n", filepath.Join(w.dir, "elsewhere"))
	require.NoError(w.t, os.WriteFile(config, []byte(strings.Replace(string(text), "[node]\n", machine, 1)), 0o600))
	return config
}

// pollers are the workers that poll the queue of w's node.
func (w *world) pollers() []string {
	w.t.Helper()
	described, err := w.temporal().DescribeTaskQueue(w.t.Context(), "node-"+w.node, enums.TASK_QUEUE_TYPE_ACTIVITY)
	require.NoError(w.t, err)
	var identities []string
	for _, poller := range described.GetPollers() {
		identities = append(identities, poller.GetIdentity())
	}
	return identities
}

// refused returns the fault of a command that must fail.
func (w *world) refused(args ...string) *fault.Error {
	w.t.Helper()
	r := w.mcp(append(args, "--json")...)
	require.NotZero(w.t, r.code, r)
	var result struct{ Error *fault.Error }
	r.decode(w.t, &result)
	require.NotNil(w.t, result.Error, r)
	return result.Error
}

func TestASecondMachineIsRefusedANodesName(t *testing.T) {
	t.Parallel()
	w, first := watched(t)
	w.source("v1", "")
	name := w.node + "-shop"
	w.define(name, w.service(name, "v1", ""))
	w.deploy(name)
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", name+"-app") })
	w.awaitObservations(1)

	second := []string{"worker", "--node", w.node, "--config", w.elsewhere()}
	late := w.process(second...)
	require.Equal(t, 1, late.code(time.Minute))
	require.Regexp(t, `error: the name `+w.node+` belongs to another machine, host \S+ \([0-9a-f]{16}\) with routes on 127\.0\.0\.1, since \S+Z; it last answered at \S+Z\n`, late.stderr.String())
	require.Contains(t, late.stderr.String(), "hint:  give this worker another name; if that machine is gone for good, free the name: mcp node remove "+w.node)
	require.Len(t, w.pollers(), 1, "the second has never polled")

	w.source("v2", "")
	w.define(name, w.service(name, "v2", ""))
	require.Equal(t, "v2", w.fetch(w.deploy(name).Components[0].Ports["http"]), "the first goes on serving")
	first.signal(syscall.SIGKILL)
	require.Equal(t, 1, w.process(second...).code(time.Minute), "a worker that does not answer still owns the name")
	again := w.worker("--node", w.node)
	require.Equal(t, workflows.Unchanged, w.deploy(name).Outcome, "its own machine may always come back")

	require.Zero(t, w.mcp("undeploy", name, "-y").code)
	require.Zero(t, w.mcp("node", "remove", w.node, "-y").code)
	served := w.process(second...)
	require.Equal(t, 1, served.code(time.Minute))
	require.Contains(t, served.stderr.String(), "a worker on another machine, ")
	again.signal(syscall.SIGTERM)
	require.Zero(t, again.code(time.Minute))
	w.worker(second[1:]...)
	require.Equal(t, 1, w.process("worker", "--node", w.node).code(time.Minute), "now the name belongs to the other")
}

func TestADrainingNodeTakesNoNewContainer(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	w.source("v1", "")
	name := w.node + "-shop"
	definition := w.service(name, "v1", "")
	w.define(name, definition)
	w.deploy(name)
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", name+"-app") })
	w.awaitObservations(1)

	drained := w.mcp("node", "drain", w.node)
	require.Zero(t, drained.code, drained)
	require.Equal(t, w.node+": draining, with components of\n  "+name+"  app\n", drained.stdout)
	require.Equal(t, fleet.NodeDraining, w.nodeStatus().State)
	require.Contains(t, w.mcp("node", "list").stdout, "draining")
	require.Regexp(t, `new containers +none: it is draining`, w.mcp("node", "show", w.node).stdout)

	require.Equal(t, workflows.Unchanged, w.deploy(name).Outcome)
	before := w.containers(name)
	w.source("v2", "")
	w.define(name, w.service(name, "v2", ""))
	f := w.refused("deploy", name)
	require.Equal(t, fault.Conflict, f.Kind)
	require.Equal(t, "component app needs a new container on node "+w.node+", which is draining", f.Message)
	require.Contains(t, f.Hint, "mcp node activate "+w.node)
	require.Equal(t, f.Message, w.refused("plan", name).Message)
	require.Equal(t, before, w.containers(name))

	w.define(name, "active = false\n"+definition)
	require.Equal(t, workflows.Succeeded, w.deploy(name).Outcome, "it may be stopped there")
	w.define(name, definition)
	require.Equal(t, fault.Conflict, w.refused("deploy", name).Kind, "and starts there no more")
	require.Equal(t, w.node+": active\n", w.mcp("node", "activate", w.node).stdout)
	require.Equal(t, workflows.Succeeded, w.deploy(name).Outcome)
	require.Equal(t, fleet.NodeReady, w.nodeStatus().State)

	require.Zero(t, w.mcp("node", "drain", w.node).code)
	require.Zero(t, w.mcp("undeploy", name, "-y").code, "and may be taken away")
	require.Equal(t, w.node+": draining, without components\n", w.mcp("node", "drain", w.node).stdout)
}

func TestANodeIsRemoved(t *testing.T) {
	t.Parallel()
	w, worker := watched(t)
	w.source("v1", "")
	name := w.node + "-shop"
	w.define(name, w.service(name, "v1", ""))
	w.deploy(name)
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", name+"-app") })
	w.podman("rm", "--force", name+"-app")
	require.Eventually(t, func() bool { return len(w.events(name)) == 1 }, time.Minute, 250*time.Millisecond)

	f := w.refused("node", "remove", w.node, "-y")
	require.Equal(t, fault.Conflict, f.Kind)
	require.Equal(t, "node "+w.node+" is to run "+name+" (app)", f.Message)
	require.Contains(t, f.Hint, "mcp undeploy "+name)
	require.Contains(t, w.refused("node", "remove", w.node).Message, "there is no terminal to confirm it at")
	slip := w.refused("node", "remove", w.node+"x", "-y")
	require.Equal(t, fault.NotFound, slip.Kind)
	require.Contains(t, slip.Hint, "did you mean "+w.node)

	require.Zero(t, w.mcp("undeploy", name, "-y").code)
	removed := w.mcp("node", "remove", w.node, "-y")
	require.Zero(t, removed.code, removed)
	require.Equal(t, w.node+": removed\n", removed.stdout)
	require.Contains(t, removed.stderr, "if its worker still runs, stop it")
	require.Equal(t, 2, w.mcp("node", "show", w.node).code)
	require.Contains(t, kinds(w.events(name)), "missing", "its events stay")
	require.Contains(t, w.mcp("history", name).stdout, "undeploy")

	worker.signal(syscall.SIGTERM)
	require.Zero(t, worker.code(time.Minute))
	w.worker("--node", w.node)
	w.awaitObservations(1) // its worker announces it again
}

func TestADeadNodeDoesNotSlowTheOthers(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	w.source("v1", "")
	name := w.node + "-shop"
	w.define(name, w.service(name, "v1", ""))
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", name+"-app") })
	var dead []*process
	for i := range 3 {
		dead = append(dead, w.worker("--node", fmt.Sprintf("%s-dead-%d", w.node, i)))
	}
	for _, worker := range dead {
		worker.signal(syscall.SIGKILL)
	}
	require.Eventually(t, func() bool {
		gone := 0
		for line := range strings.Lines(w.mcp("node", "list").stdout) { // it lists nodes of other tests too
			if strings.HasPrefix(line, w.node+"-dead-") && strings.Contains(line, fleet.NodeUnreachable) {
				gone++
			}
		}
		return gone == len(dead)
	}, time.Minute, 500*time.Millisecond)

	// An observation of a dead node ends after unanswered.
	const observations, unanswered = 5, 5 * time.Second
	w.awaitObservations(1)
	seen, shortest := w.nodeStatus().Seen, time.Hour
	for range observations {
		w.awaitObservations(1)
		next := w.nodeStatus().Seen
		shortest, seen = min(shortest, next.Sub(seen)), next
	}
	require.Positive(t, shortest)
	require.Less(t, shortest, unanswered, "none waits for that of a dead node")
	w.deploy(name)
	for activity, queue := range w.queues("deploy/"+name, "") {
		require.NotContains(t, queue, "dead", activity)
	}
}
