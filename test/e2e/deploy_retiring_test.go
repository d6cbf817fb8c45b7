package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workflows"
)

// A deploy ends for its command when the release has taken over. The container that
// was replaced drains for longer than any test lasts.
func TestADeployEndsWhenItsReleaseTakesOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("ebbs", w.service("ebbs", "v1", `drain = "10m"`))
	w.deploy("ebbs")
	w.source("v2", "")
	w.define("ebbs", w.service("ebbs", "v2", `drain = "10m"`))

	r := w.mcp("deploy", "ebbs", "--json")
	require.Zero(t, r.code, r)
	var result workflows.Result
	r.decode(t, &result)
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.True(t, result.Components[0].Built)
	require.Equal(t, []workflows.Retiring{{Container: "ebbs-app.prev", Node: "local", DrainMS: (10 * time.Minute).Milliseconds()}}, result.Retiring)
	require.Equal(t, "v2", w.fetch(result.Components[0].Ports["http"]))
	w.untilRunning(workflows.DeployID("ebbs"))

	var status []struct {
		Release, Deploying int
		Retiring           []struct {
			Container, Node, State string
			Since                  time.Time
		}
	}
	require.NoError(t, json.Unmarshal([]byte(w.mcp("status", "ebbs", "--json").stdout), &status))
	require.Equal(t, []int{2, 0}, []int{status[0].Release, status[0].Deploying})
	require.Len(t, status[0].Retiring, 1)
	require.Equal(t, "ebbs-app.prev", status[0].Retiring[0].Container)
	require.Equal(t, "running", status[0].Retiring[0].State)
	require.WithinDuration(t, time.Now(), status[0].Retiring[0].Since, time.Hour)
	require.Contains(t, w.mcp("status", "ebbs").stdout, "ebbs: ebbs-app.prev on local, replaced since ")
	require.Contains(t, w.mcp("history", "ebbs").stdout, "* 2  deploy  succeeded")

	late := w.mcp("cancel", "ebbs")
	require.Zero(t, late.code, late)
	require.Contains(t, late.stderr, "the cancel came too late")
	require.Contains(t, late.stdout, "; the old container drains\n")
	next := w.mcpUntilSays("waiting until its former containers are gone", "deploy", "ebbs", "--force")
	require.Equal(t, 130, next.code, next)

	// What was not retired is removed by the next deploy, and has succeeded nonetheless.
	require.NoError(t, w.temporal().TerminateWorkflow(t.Context(), workflows.DeployID("ebbs"), "", "a test"))
	require.Equal(t, workflows.Succeeded, w.deploy("ebbs").Outcome)
	require.Len(t, w.containers("ebbs"), 1)
	require.Contains(t, w.mcp("history", "ebbs").stdout, "  2  deploy  succeeded")

	t.Run("interrupted while it waits, it has succeeded", func(t *testing.T) {
		waiting := w.mcpUntilSays("released; waiting until the former containers are gone", "deploy", "ebbs", "--force", "--wait", "--json")
		require.Equal(t, 130, waiting.code, waiting)
		require.Contains(t, waiting.stderr, "the deploy of ebbs has succeeded")
		var said map[string]string
		waiting.decode(t, &said)
		require.Equal(t, "succeeded", said["outcome"])
		require.NoError(t, w.temporal().TerminateWorkflow(t.Context(), workflows.DeployID("ebbs"), "", "a test"))
		require.Zero(t, w.mcp("undeploy", "ebbs", "-y").code)
		require.Empty(t, w.containers("ebbs"))
	})
}

func TestADeployThatWaitsEndsWhenTheFormerContainersAreGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("flows", w.service("flows", "v1", `drain = "1s"`))
	w.deploy("flows")
	waited := w.mcp("restart", "flows", "--wait")
	require.Zero(t, waited.code, waited)
	require.Contains(t, waited.stderr, "released; waiting until the former containers are gone")
	require.NotContains(t, waited.stdout, "old container")
	require.Len(t, w.containers("flows"), 1)
	require.NotContains(t, w.mcp("status", "flows").stdout, "not gone yet")
}
