package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

func TestAPurgedServiceIsDeployedAsIfForTheFirstTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("forgotten", w.service("forgotten", "v1", ""))
	w.deploy("forgotten")
	refused := w.mcp("purge", "forgotten", "-y")
	require.Equal(t, 1, refused.code, refused)
	require.Contains(t, refused.stderr, "has containers: forgotten-app on local")
	require.Contains(t, refused.stderr, "mcp undeploy forgotten")
	w.change(workflows.Succeeded, "undeploy", "forgotten", "-y")

	asked := w.mcp("purge", "forgotten")
	require.Equal(t, 2, asked.code, asked)
	require.Contains(t, asked.stderr, "2 deployments")
	dry := w.mcp("purge", "forgotten", "--dry-run", "--json")
	require.Zero(t, dry.code, dry)
	var known fleet.Forgotten
	dry.decode(t, &known)
	require.Equal(t, fleet.Forgotten{Service: "forgotten", Deployments: 2, Ports: 1, Events: known.Events, Drift: known.Drift}, known)
	require.Contains(t, w.mcp("history", "forgotten").stdout, "2  undeploy", "a dry run forgets nothing")

	gone := w.change(workflows.Succeeded, "purge", "forgotten", "-y")
	require.Equal(t, known, *gone.Forgotten)
	require.Contains(t, w.mcp("history", "forgotten").stderr, "service forgotten has never been deployed")
	require.NotContains(t, w.mcp("status").stdout, "forgotten")
	for _, line := range [][]string{{"purge", "forgotten", "-y"}, {"purge", "forgotten", "--dry-run"}} {
		again := w.mcp(line...)
		require.Equal(t, 2, again.code, again)
		require.Contains(t, again.stderr, "never been deployed")
	}

	first := w.change(workflows.Succeeded, "deploy", "forgotten")
	require.Equal(t, 3, first.Deployment, "the node has seen two")
	require.Equal(t, "v1", w.fetch(first.Components[0].Ports["http"]))
	w.change(workflows.Succeeded, "restart", "forgotten")
	require.Equal(t, "v1", w.fetch(w.routePort("forgotten")))
}
