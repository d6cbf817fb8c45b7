package e2e

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows"
)

// TestAWorkerThatEndsLetsItsWorkFinish sends SIGTERM to the one worker of each role
// while an activity is under way there: that attempt succeeds, and the deploy goes on
// with the next worker.
func TestAWorkerThatEndsLetsItsWorkFinish(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		activity string
		// under reports that the worker works on the activity, and not only that
		// Temporal has given it away.
		under func(w *world, f *faultyRegistry, name string) bool
		flags func(w *world) []string
	}{
		"node": {
			"RunContainer", func(w *world, _ *faultyRegistry, name string) bool { return len(w.containers(name)) > 0 },
			func(w *world) []string { return []string{"--node", w.node} },
		},
		"builder": {
			"Build", func(_ *world, _ *faultyRegistry, name string) bool { return runs(name) },
			func(w *world) []string { return []string{"--builder", w.builder, "--workspace", w.workspace} },
		},
		"control": {
			"ImageExists", func(_ *world, f *faultyRegistry, _ string) bool { return f.unanswered() > 0 },
			func(*world) []string { return []string{"--control"} },
		},
	}
	for role, test := range tests {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.alone()
			f := w.newFaultyRegistry(nil)
			roles := map[string]*process{}
			for _, name := range []string{"control", "node", "builder"} { // a node is ready when a control worker has recorded it
				roles[name] = w.worker(tests[name].flags(w)...)
			}
			name := "graceful-" + role
			w.source("v1", `RUN ["/app", "sleep", "8s", "`+name+`"]`)
			w.define(name, w.startingWithin("60s", name, "v1", `env = { MODE = "late" }`))
			if role == "control" {
				f.fail(on(http.MethodHead, "/manifests/", slowly(6*time.Second)))
			}
			deployed := w.start("deploy", name, "--json")
			w.awaitAttempt(workflows.DeployID(name), test.activity, 1)
			require.Eventually(t, func() bool { return test.under(w, f, name) }, time.Minute, 50*time.Millisecond)
			roles[role].signal(syscall.SIGTERM)
			require.Zero(t, roles[role].code(time.Minute), "it ends without a second signal")
			f.heal()
			w.worker(test.flags(w)...)

			r := <-deployed
			require.Zero(t, r.code, r)
			summary := w.summary(workflows.DeployID(name))
			require.Equal(t, summary.scheduled[test.activity], summary.attempts[test.activity], "each was done at the first attempt")
			require.Zero(t, summary.scheduled["Restore"], "nothing was undone")
			require.Contains(t, roles[role].stderr.String(), "what runs comes to an end first")
		})
	}
}

// slowly passes on a request after a pause.
func slowly(pause time.Duration) script {
	return func(f *faultyRegistry, _ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-time.After(pause):
		case <-f.end():
		case <-r.Context().Done():
		}
		return false
	}
}

func TestWhatDoesNotFinishInTimeIsHandedOver(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"build", "health"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.node, w.builder = w.builder, w.builder+"-too"
			name := "handed-" + at
			activity := map[string]string{"build": "Build", "health": "RunContainer"}[at]
			w.configure(
				fmt.Sprintf("services = %q", w.services),
				"[temporal]", fmt.Sprintf("address = %q", shared.platform.Info().Temporal()), encryptionKeys(),
				"[build]", fmt.Sprintf("builder = %q", w.builder),
			)
			w.source("v1", `RUN ["/app", "sleep", "8s", "`+name+`"]`)
			w.define(name, w.startingWithin("60s", name, "v1", `env = { MODE = "late" }`))
			first := w.workers(time.Second)
			deployed := w.start("deploy", name, "--json")
			w.awaitAttempt(workflows.DeployID(name), activity, 1)
			under := func() bool { return len(w.containers(name)) > 0 }
			if at == "build" {
				under = func() bool { return runs(name) }
			}
			require.Eventually(t, under, time.Minute, 50*time.Millisecond)
			asked := time.Now()
			first.Stop()
			require.Less(t, time.Since(asked), 14*time.Second, "it waits for the grace, and not until the work is done")
			if at == "build" {
				require.False(t, runs(name), "the build has ended")
			}
			second := w.workers(0)
			t.Cleanup(second.Stop)

			r := <-deployed
			require.Zero(t, r.code, r)
			summary := w.summary(workflows.DeployID(name))
			require.GreaterOrEqual(t, summary.attempts[activity], 2)
			require.NotContains(t, summary.failures[activity], "timeout_failure_info", "no heartbeat has to time out")
			require.Zero(t, summary.scheduled["Restore"], "nothing was undone")
		})
	}
}

// workers starts a node's worker and a builder in this process.
func (w *world) workers(grace time.Duration) *workers.Workers {
	w.t.Helper()
	started, err := workers.Start(w.t.Context(), w.temporal(), workers.Options{
		Node:    &workers.Node{Name: w.node, Socket: shared.platform.Info().Podman, Publish: "127.0.0.1"},
		Builder: &workers.Builder{Name: w.builder, Workspace: w.workspace, Socket: shared.platform.Info().Podman, Logs: w.dir},
		Logger:  quiet, Grace: grace,
	})
	require.NoError(w.t, err)
	return started
}

// TestCtrlCDetaches sends mcp deploy a signal: the deploy goes on, and the message
// names the command that attaches to it.
func TestCtrlCDetaches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("detached", w.startingWithin("60s", "detached", "v1", `env = { MODE = "late" }`))
	deploying := w.process("deploy", "detached")
	w.awaitAttempt(workflows.DeployID("detached"), "RunContainer", 1)
	deploying.signal(syscall.SIGINT)
	require.Equal(t, 130, deploying.code(time.Minute))
	said := deploying.stderr.String()
	require.Contains(t, said, "the deploy of detached goes on in Temporal; the same command attaches again")
	require.Contains(t, said, "mcp cancel detached stops it")
	attached := w.mcp("deploy", "detached")
	require.Zero(t, attached.code, attached)
	require.Contains(t, attached.stderr, "attached to the deploy of detached")
}
