package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
)

func TestASyncRecordsDefinitionsAndDeploysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("noted", w.service("noted", "v1", ""))
	w.deploy("noted")
	before := w.identity("noted-app")
	t.Cleanup(func() { w.mcp("undeploy", "noted", "-y") })
	require.Contains(t, w.mcp("sync", "noted").stdout, "noted: no change")
	require.False(t, w.status("noted").Pending)

	w.define("noted", w.service("noted", "v1", `env = { A = "b" }`))
	w.define("fresh", w.service("fresh", "v1", ""))
	w.define("crooked", "name = \"crooked\"\nnode = 3\n")
	r := w.mcp("sync")
	require.Equal(t, 2, r.code, r)
	require.Contains(t, r.stderr, "crooked.toml")
	require.Contains(t, r.stdout, "noted: its definition has changed, and is recorded")
	require.Contains(t, r.stdout, "~ app  local  replace")
	require.Contains(t, r.stdout, "env.A: set")
	require.Contains(t, r.stdout, "build and push "+w.image("fresh", "v1"))
	require.Contains(t, r.stdout, "+ app  local  create")
	require.True(t, w.status("noted").Pending)
	require.Regexp(t, `noted +1 \(pending\) +app`, w.mcp("status", "noted").stdout)
	require.Contains(t, w.mcp("status", "fresh").stdout, "never released")
	require.Equal(t, before, w.identity("noted-app"))
	require.NotContains(t, w.mcp("history", "noted").stdout, "sync")

	r = w.mcp("sync", "--json")
	require.Equal(t, 2, r.code, r)
	var list []struct {
		Service  string
		Recorded bool
		Plan     *workflows.PlanResult
		Error    *fault.Error
	}
	r.decode(t, &list)
	require.Len(t, list, 3)
	require.Equal(t, fault.Invalid, list[0].Error.Kind)
	require.Equal(t, "noted", list[2].Service)
	require.False(t, list[2].Recorded, "it was")
	require.Equal(t, plan.Replace, list[2].Plan.Plan.Steps[0].Action)

	require.Equal(t, workflows.Succeeded, w.deploy("noted").Outcome)
	require.False(t, w.status("noted").Pending)
	require.Zero(t, w.mcp("rollback", "noted", "--wait").code)
	require.True(t, w.status("noted").Pending, "the definition says otherwise")
	require.Zero(t, w.mcp("undeploy", "noted", "-y").code)
	require.False(t, w.status("noted").Pending)
}
