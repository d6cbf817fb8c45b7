package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
)

// pair is a service of two components with a route each: web needs db, whose
// data is in a named volume.
func (w *world) pair(name string) string {
	return fmt.Sprintf(`name = %[1]q
node = "local"
path = "src"

[build.images]
%[1]s = "Containerfile"

[[components]]
name = "web"
image = %[2]q
depends_on = ["db"]

[[components.routes]]
name = "http"
port = 443

[[components]]
name = "db"
image = %[2]q
volumes = ["%[1]s-data:/data"]
env = { DATA = "/data" }

[[components.routes]]
name = "sql"
port = 5432
`, name, w.image(name, "v1"))
}

// podman runs a command of podman. It is repeated where podman before 4.4 inspected a
// container whose program ended meanwhile.
func (w *world) podman(args ...string) string {
	w.t.Helper()
	for try := 1; ; try++ {
		out, err := exec.Command("podman", append([]string{"--url", shared.platform.Info().Podman}, args...)...).CombinedOutput()
		if err != nil && try < 5 && strings.HasSuffix(strings.TrimSpace(string(out)), "/cgroup: no such process") {
			continue
		}
		require.NoError(w.t, err, string(out))
		return strings.TrimSpace(string(out))
	}
}

// portsHeld are the routes of a service whose ports are held.
func (w *world) portsHeld(service string) string {
	w.t.Helper()
	return w.sql(fmt.Sprintf("select route from component_routes where service = '%s' and rests_until is null order by 1", service))
}

// sql runs a query on w's registry.
func (w *world) sql(query string) string {
	w.t.Helper()
	out, err := exec.Command("psql", w.databaseURL(), "-X", "-A", "-t", "-c", query).CombinedOutput()
	require.NoError(w.t, err, string(out))
	return strings.TrimSpace(string(out))
}

// retired are the containers of each Retire of a run, in order.
func (w *world) retired(r workflows.Result) []string {
	w.t.Helper()
	var taken []string
	w.eachActivity(r.WorkflowID, r.RunID, func(activity, _ string, input []byte) {
		var in struct{ Containers []fleet.Ref }
		if activity == "Retire" {
			require.NoError(w.t, json.Unmarshal(input, &in))
			var names []string
			for _, c := range in.Containers {
				names = append(names, c.Name)
			}
			taken = append(taken, strings.Join(names, ","))
		}
	})
	return taken
}

func TestUndeployRemovesAServiceAndKeepsItsData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("gone", w.pair("gone"))
	w.deploy("gone")
	t.Cleanup(func() { w.podman("volume", "rm", "--force", "gone-data") })
	precious := filepath.Join(w.podman("volume", "inspect", "gone-data", "--format", "{{.Mountpoint}}"), "precious")
	require.NoError(t, os.WriteFile(precious, []byte("gold"), 0o600))
	require.Equal(t, "http\nsql", w.portsHeld("gone"))
	require.NoError(t, os.Remove(filepath.Join(w.services, "gone.toml")), "its definition is not needed")

	refused := w.mcp("undeploy", "gone")
	require.Equal(t, 2, refused.code, refused)
	require.Contains(t, refused.stderr, "gone-db, gone-web on local")
	require.NotEmpty(t, w.containers("gone"))

	undeploy := func(outcome workflows.Outcome) workflows.Result {
		t.Helper()
		r := w.mcp("undeploy", "gone", "-y", "--json")
		require.Zero(t, r.code, r)
		var result workflows.Result
		r.decode(t, &result)
		require.Equal(t, outcome, result.Outcome, r)
		require.False(t, result.Dirty)
		return result
	}
	result := undeploy(workflows.Succeeded)
	require.Equal(t, []plan.Action{plan.Remove, plan.Remove}, []plan.Action{result.Components[0].Action, result.Components[1].Action})
	require.Equal(t, []string{"gone-web", "gone-db"}, w.retired(result), "web depends on db")
	described, err := w.temporal().DescribeWorkflow(t.Context(), result.WorkflowID, result.RunID)
	require.NoError(t, err)
	nodes, _ := described.TypedSearchAttributes.GetKeywordList(workflows.SearchNode)
	require.Equal(t, []string{"local"}, nodes, "Temporal finds it by its node")
	require.Empty(t, w.containers("gone"))
	require.Empty(t, w.portsHeld("gone"))
	data, err := os.ReadFile(precious)
	require.NoError(t, err)
	require.Equal(t, "gold", string(data))

	status := w.status("gone")
	require.Equal(t, 2, status.Release)
	require.False(t, status.Active)
	require.Empty(t, status.Components)
	require.Contains(t, w.mcp("status", "gone").stdout, "undeployed")
	undeploy(workflows.Unchanged)
	require.Contains(t, w.mcp("history", "gone").stdout, "* 2  undeploy  succeeded")

	nowhere := w.mcp("rollback", "gone", "--to", "2")
	require.Equal(t, 1, nowhere.code, nowhere)
	require.Contains(t, nowhere.stderr, "deployment 2 undeployed gone")
	back := w.mcp("rollback", "gone", "--wait", "--json")
	require.Zero(t, back.code, back)
	require.Contains(t, back.stderr, "back from release 2 to release 1")
	var again workflows.Result
	back.decode(t, &again)
	for _, c := range again.Components {
		require.Equal(t, plan.Create, c.Action)
		for _, port := range c.Ports {
			require.Equal(t, "v1", w.fetch(port))
		}
	}
	data, err = os.ReadFile(precious)
	require.NoError(t, err)
	require.Equal(t, "gold", string(data))
	require.Equal(t, "http\nsql", w.portsHeld("gone"))

	undeploy(workflows.Succeeded)
	w.define("gone", w.pair("gone"))
	require.Equal(t, 0, w.mcp("deploy", "gone/db", "--wait").code)
	require.Len(t, w.containers("gone"), 1)
	require.Contains(t, w.containers("gone")[0], "gone-db ")
	require.Equal(t, workflows.Succeeded, w.deploy("gone").Outcome)
	undeploy(workflows.Succeeded)
}

func TestUndeployRemovesAStoppedService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("idle", w.service("idle", "v1", ""))
	w.deploy("idle")
	w.define("idle", "active = false\n"+w.service("idle", "v1", ""))
	w.deploy("idle")
	require.NotEmpty(t, w.containers("idle"))
	removed := w.mcp("undeploy", "idle", "--yes")
	require.Zero(t, removed.code, removed)
	require.Contains(t, removed.stdout, "- app  local  removed")
	require.Empty(t, w.containers("idle"))
}
