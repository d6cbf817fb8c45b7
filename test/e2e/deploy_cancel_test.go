package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workflows"
)

// slowStep prepares a deploy of a service, whose first version runs, to take minutes
// in one step. It returns whether that step is under way, and whether all its work has
// ended.
type slowStep func(t *testing.T, w *world, f *faultyRegistry, name string) (under, ended func() bool)

// slowSteps are the steps of a deploy that can take long.
var slowSteps = map[string]slowStep{
	"build": func(_ *testing.T, w *world, _ *faultyRegistry, name string) (under, ended func() bool) {
		w.source("v2", `RUN ["/app", "sleep", "10m", "`+name+`"]`)
		w.define(name, w.service(name, "v2", ""))
		return func() bool { return runs(name) }, func() bool { return !runs(name) }
	},
	"push": func(_ *testing.T, w *world, f *faultyRegistry, name string) (under, ended func() bool) {
		w.ownSource("v2")
		w.define(name, w.service(name, "v2", ""))
		f.fail(on(uploads, "/blobs/", hanging))
		return func() bool { return f.unanswered() > 0 }, func() bool { return f.unanswered() == 0 }
	},
	"pull": func(t *testing.T, w *world, f *faultyRegistry, name string) (under, ended func() bool) {
		w.ownSource("v2")
		w.define(name, w.service(name, "v2", ""))
		w.buildElsewhere(name, "v2")
		f.fail(on(http.MethodGet, "/blobs/", hanging))
		return func() bool { return f.unanswered() > 0 }, func() bool { return f.unanswered() == 0 }
	},
	"health": func(_ *testing.T, w *world, _ *faultyRegistry, name string) (under, ended func() bool) {
		w.define(name, w.startingWithin("10m", name, "v1", `env = { MODE = "deaf" }`))
		listed := func() bool { return strings.Contains(w.mcp("ps", "--node", w.node).stdout, name+"-app.next") }
		return listed, func() bool { return !listed() }
	},
}

// A deploy goes on when its command line is interrupted, at any step; the same command
// attaches to it, and may be interrupted again. To cancel it ends its work, and what attaches
// to it.
func TestACtrlCAndACancelAtEachStepOfADeploy(t *testing.T) {
	t.Parallel()
	for at, prepare := range slowSteps {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			name := "cancelled-" + at
			w := newWorld(t)
			f := w.newFaultyRegistry(nil)
			w.source("v1", "")
			w.define(name, w.service(name, "v1", ""))
			port := w.deploy(name).Components[0].Ports["http"]

			under, ended := prepare(t, w, f, name)
			first := w.terminal(100, 40, nil, "deploy", name)
			require.Eventually(t, under, time.Minute, 50*time.Millisecond, "the deploy gets there")
			require.Equal(t, 130, first.ctrlC(w))
			require.Contains(t, first.Text(), "detached: the deploy of "+name+" goes on")
			require.Contains(t, first.Text(), "mcp cancel "+name+" stops it")
			w.untilRunning(workflows.DeployID(name))

			again := w.terminal(100, 40, nil, "deploy", name)
			again.shows(w, "attached to the deploy of "+name)
			require.Equal(t, 130, again.ctrlC(w))
			require.Equal(t, "v1", w.fetch(port))

			attached := w.process("deploy", name)
			require.Eventually(t, func() bool { return strings.Contains(attached.stderr.String(), "attached to the deploy of "+name) },
				time.Minute, 50*time.Millisecond)
			require.Eventually(t, under, time.Minute, 50*time.Millisecond, "the work goes on")
			asked := time.Now()
			cancelled := w.mcp("cancel", name, "--json")
			took := time.Since(asked)
			require.Zero(t, cancelled.code, cancelled)
			var result workflows.Result
			cancelled.decode(t, &result)
			require.Equal(t, workflows.Cancelled, result.Outcome)
			require.False(t, result.Dirty)
			require.Less(t, took, time.Minute, "its work would have gone on for ten")
			t.Log("cancelled in", took)
			require.Eventually(t, ended, time.Minute, 200*time.Millisecond, "the work has ended")
			require.Equal(t, 1, attached.code(time.Minute), "the deploy fails")

			require.Equal(t, "v1", w.fetch(port), "the former release serves on")
			require.NotContains(t, w.mcp("ps", "--node", w.node).stdout, name+"-app.")
			status := w.status(name)
			require.Equal(t, 1, status.Release)
			require.False(t, status.Dirty)
			require.Contains(t, w.mcp("history", name).stdout, "cancelled")
			nothing := w.mcp("cancel", name)
			require.Equal(t, 1, nothing.code, nothing)
			require.Contains(t, nothing.stderr, "nothing to cancel")
		})
	}
}

// runs reports whether a process of the test service has the argument.
func runs(argument string) bool {
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range commands {
		text, err := os.ReadFile(path)
		if err == nil && strings.HasPrefix(string(text), "/app\x00") && strings.Contains(string(text), "\x00"+argument+"\x00") {
			return true
		}
	}
	return false
}
