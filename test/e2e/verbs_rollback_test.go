package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workflows"
)

func TestRollbackRunsTheFormerReleaseByItsDigests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, 2, w.mcp("history", "back").code, "a service that was never deployed has no history")
	w.source("v1", "")
	w.define("back", w.service("back", "v1", ""))
	first := w.deploy("back")
	require.Equal(t, 1, w.mcp("rollback", "back").code, "there is nothing before the first release")

	w.source("v2", "")
	w.define("back", w.service("back", "v2", ""))
	w.deploy("back")
	w.define("back", w.service("back", "v2", `env = { MODE = "exit" }`))
	require.Equal(t, 1, w.mcp("deploy", "back").code)

	// The tag moves: the rollback runs the former image, by its digest.
	w.source("v1-moved", "")
	w.define("back", w.service("back", "v1", ""))
	require.Zero(t, w.mcp("build", "back", "--force").code)

	rolled := w.mcp("rollback", "back", "--wait", "--json")
	require.Zero(t, rolled.code, rolled)
	require.Contains(t, rolled.stderr, "back from release 2 to release 1")
	var result workflows.Result
	rolled.decode(t, &result)
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, first.Components[0].Digest, result.Components[0].Digest)
	require.Equal(t, "v1", w.fetch(result.Components[0].Ports["http"]))

	listed := w.mcp("history", "back")
	require.Zero(t, listed.code, listed)
	require.Contains(t, listed.stdout, "* 4  rollback  succeeded")
	require.Contains(t, listed.stdout, "  3  deploy    failed")
	story := w.mcp("history", "back", "3")
	require.Zero(t, story.code, story)
	require.Contains(t, story.stderr, "✗ app: run on local")
	require.Contains(t, story.stdout, "Unhealthy: ")

	require.Equal(t, 2, w.mcp("history", "back", "99").code)
	failed := w.mcp("rollback", "back", "--to", "3")
	require.Equal(t, 1, failed.code, failed)
	require.Contains(t, failed.stderr, "never became a release")
	require.Equal(t, 4, w.status("back").Release)
}

// A rollback after an undeploy runs what ran last, also where that is a start of an
// inactive release.
func TestRollbackGoesToWhatRanLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("last", w.service("last", "v1", ""))
	w.deploy("last")
	w.define("last", "active = false\n"+w.service("last", "v1", ""))
	w.deploy("last")
	require.Zero(t, w.mcp("start", "last", "--wait").code)
	require.Zero(t, w.mcp("undeploy", "last", "-y").code)

	rolled := w.mcp("rollback", "last", "--wait", "--json")
	require.Zero(t, rolled.code, rolled)
	require.Contains(t, rolled.stderr, "back from release 4 to release 3")
	var result workflows.Result
	rolled.decode(t, &result)
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, "v1", w.fetch(result.Components[0].Ports["http"]))
	status := w.status("last")
	require.True(t, status.Active)
	require.Equal(t, "running", status.Components[0].ObservedState)
}

func TestCancelPutsBackWhatRanBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	idle := w.mcp("cancel", "stopme")
	require.Equal(t, 1, idle.code)
	require.Contains(t, idle.stderr, "nothing to cancel")

	w.source("v1", "")
	w.define("stopme", w.service("stopme", "v1", ""))
	port := w.deploy("stopme").Components[0].Ports["http"]
	w.define("stopme", w.startingWithin("60s", "stopme", "v1", `env = { MODE = "deaf" }`))
	deploying := make(chan reply, 1)
	go func() { deploying <- w.mcp("deploy", "stopme") }()
	w.untilRunning(workflows.DeployID("stopme"))
	require.Eventually(t, func() bool {
		return strings.Contains(w.mcp("ps", "--node", w.node).stdout, "stopme-app.next")
	}, time.Minute, 100*time.Millisecond)

	cancelled := w.mcp("cancel", "stopme", "--json")
	require.Zero(t, cancelled.code, cancelled)
	var result workflows.Result
	cancelled.decode(t, &result)
	require.Equal(t, workflows.Cancelled, result.Outcome)
	require.False(t, result.Dirty)
	require.Equal(t, 1, (<-deploying).code, "the deploy fails")
	require.Equal(t, "v1", w.fetch(port))
	require.NotContains(t, w.mcp("ps", "--node", w.node).stdout, "stopme-app.next")
}
