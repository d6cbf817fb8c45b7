package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
)

func TestAPurgedServiceIsDeployedAsIfForTheFirstTime(t *testing.T) {
	w := newWorld(t)
	w.source("v1", "")
	w.define("lost", w.service("lost", "v1", ""))
	w.deploy("lost")
	refused := w.mcp("purge", "lost", "-y")
	require.Equal(t, 1, refused.code, refused)
	require.Contains(t, refused.stderr, "has containers: lost-app on local")
	require.Contains(t, refused.stderr, "mcp undeploy lost")
	w.change(workflows.Succeeded, "undeploy", "lost", "-y")

	asked := w.mcp("purge", "lost")
	require.Equal(t, 2, asked.code, asked)
	require.Contains(t, asked.stderr, "2 deployments")
	dry := w.mcp("purge", "lost", "--dry-run", "--json")
	require.Zero(t, dry.code, dry)
	var known plan.Forgotten
	dry.decode(t, &known)
	require.Equal(t, plan.Forgotten{Service: "lost", Deployments: 2, Ports: 1, Events: known.Events, Drift: known.Drift}, known)
	require.Contains(t, w.mcp("history", "lost").stdout, "2  undeploy", "a dry run forgets nothing")

	gone := w.change(workflows.Succeeded, "purge", "lost", "-y")
	require.Equal(t, known, *gone.Forgotten)
	require.Contains(t, w.mcp("history", "lost").stderr, "service lost has never been deployed")
	require.NotContains(t, w.mcp("status").stdout, "lost")
	for _, line := range [][]string{{"purge", "lost", "-y"}, {"purge", "lost", "--dry-run"}} {
		again := w.mcp(line...)
		require.Equal(t, 2, again.code, again)
		require.Contains(t, again.stderr, "never been deployed")
	}

	first := w.change(workflows.Succeeded, "deploy", "lost")
	require.Equal(t, 3, first.Deployment, "the node has seen two")
	require.Equal(t, "v1", w.fetch(first.Components[0].Ports["http"]))
	w.change(workflows.Succeeded, "restart", "lost")
	require.Equal(t, "v1", w.fetch(w.routePort("lost")))
}
