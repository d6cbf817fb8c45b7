package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

// migrated is a service whose database is migrated before the app starts. Dir is the
// database's, where it notes its migrations.
type migrated struct {
	*world
	name, dir string
}

// define writes a version of the service, whose migration takes that long and exits with
// that code.
func (m migrated) define(version, takes string, code int, more string) {
	m.t.Helper()
	m.source(version, "")
	definition := m.service(m.name, version, "")
	definition += fmt.Sprintf(`
[[components]]
name    = "db"
image   = %q
env     = { DATA = "/data", MODE = "deaf" }
volumes = ["%s:/data"]

[[steps]]
name       = "migrate"
component  = "db"
cmd        = ["/app", "migrate", %q, %q, "%d"]
depends_on = ["db"]
%s`, m.image(m.name, version), m.dir, version, takes, code, more)
	m.world.define(m.name, definition)
}

// migrations are the versions that were migrated to, in order, each time. No two ran side
// by side.
func (m migrated) migrations() []string {
	m.t.Helper()
	_, err := os.Stat(filepath.Join(m.dir, "overlap"))
	require.ErrorIs(m.t, err, os.ErrNotExist, "two migrations ran side by side")
	text, err := os.ReadFile(filepath.Join(m.dir, "migrations"))
	require.NoError(m.t, err)
	return strings.Fields(string(text))
}

// runs are the containers of steps that exist.
func (m migrated) runs() string {
	m.t.Helper()
	return m.podman("ps", "--all", "--filter", "name="+m.name+"-migrate", "--format", "{{.Names}}")
}

func TestStepsOfADeployment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := migrated{w, "stepped", filepath.Join(w.dir, "data")}
	require.NoError(t, os.Mkdir(m.dir, 0o777))
	m.define("v1", "0s", 0, "")

	planned := m.mcp("plan", m.name)
	require.Regexp(t, `> migrate +`+m.node+` +runs after db, before the rest`, planned.stdout)

	deployed := m.mcp("deploy", m.name)
	require.Zero(t, deployed.code, deployed)
	t.Cleanup(func() { w.mcp("undeploy", m.name, "-y") })
	require.Regexp(t, `\| migrating to v1`, deployed.stderr)
	require.Equal(t, []string{"v1"}, m.migrations())
	require.Empty(t, m.runs())
	port := m.routePort(m.name)
	require.Equal(t, "v1", m.fetch(port))
	past := m.mcp("history", m.name, "1")
	require.Regexp(t, `(?s)step migrate on `+m.node+`: succeeded \(.*\n  \| migrating to v1 <nil>\n  \| migrated to v1\n`, past.stdout)

	logged := m.mcp("logs", m.name+"/migrate")
	require.Equal(t, "migrating to v1 <nil>\nmigrated to v1\n", logged.stdout, logged)
	require.Contains(t, logged.stderr, "step migrate of deployment 1 of stepped: exited with code 0")

	require.Equal(t, workflows.Unchanged, m.deploy(m.name).Outcome)
	require.Equal(t, []string{"v1"}, m.migrations(), "nothing has changed")

	t.Run("one that fails has everything put back", func(t *testing.T) {
		m.define("v2", "0s", 3, "")
		r := m.mcp("deploy", m.name, "--json")
		require.Equal(t, 1, r.code, r)
		var result workflows.Result
		r.decode(t, &result)
		require.Equal(t, "step migrate exited with code 3", result.Error.Message)
		require.Equal(t, fault.Unhealthy, result.Error.Kind)
		require.Contains(t, result.Error.Log, "migrating to v2 <nil>")
		require.Equal(t, 3, result.Steps[0].ExitCode)
		require.False(t, result.Dirty)
		require.Equal(t, []string{"v1", "v2"}, m.migrations())
		require.Equal(t, "v1", m.fetch(m.routePort(m.name)))
		require.Empty(t, m.runs())
		require.Contains(t, m.mcp("events", m.name).stdout, "step-failed")
		require.Regexp(t, `step migrate on `+m.node+`: failed: exited with code 3`, m.mcp("history", m.name, "3").stdout)
	})

	t.Run("one that is cancelled is ended", func(t *testing.T) {
		m.define("v3", "10m", 0, "")
		deploy := m.start("deploy", m.name)
		require.Eventually(t, func() bool { return len(m.migrations()) == 3 }, time.Minute, 50*time.Millisecond)
		cancelled := m.mcp("cancel", m.name, "--json")
		require.Zero(t, cancelled.code, cancelled)
		var result workflows.Result
		cancelled.decode(t, &result)
		require.Equal(t, workflows.Cancelled, result.Outcome)
		require.False(t, result.Dirty)
		require.Equal(t, fleet.TaskStopped, result.Steps[0].State)
		require.Contains(t, result.Steps[0].Log, "interrupted")
		require.Equal(t, 1, (<-deploy).code)
		require.Empty(t, m.runs())
		require.Equal(t, "v1", m.fetch(m.routePort(m.name)))
	})

	t.Run("one that takes too long is stopped, and run again as often as it says", func(t *testing.T) {
		m.define("v4", "10m", 0, "timeout = \"1s\"\nretries = 1\n")
		r := m.mcp("deploy", m.name, "--json")
		require.Equal(t, 1, r.code, r)
		var result workflows.Result
		r.decode(t, &result)
		require.Equal(t, "step migrate was stopped after its timeout, 1s, as run 2 of 2", result.Error.Message)
		require.Equal(t, []string{"v1", "v2", "v3", "v4", "v4"}, m.migrations())
	})

	t.Run("one after the release is the last trial", func(t *testing.T) {
		m.define("v5", "0s", 1, "when = \"after\"\n")
		r := m.mcp("deploy", m.name, "--json")
		require.Equal(t, 1, r.code, r)
		var result workflows.Result
		r.decode(t, &result)
		require.False(t, result.Dirty, r)
		require.Equal(t, "v1", m.fetch(m.routePort(m.name)))
		require.Equal(t, 1, m.status(m.name).Release)
		require.Equal(t, "v5", m.migrations()[5])
	})

	t.Run("a rollback runs none", func(t *testing.T) {
		m.define("v6", "0s", 0, "")
		require.Equal(t, workflows.Succeeded, m.deploy(m.name).Outcome)
		require.Len(t, m.migrations(), 7)
		require.Zero(t, m.mcp("rollback", m.name, "--wait").code)
		require.Equal(t, "v1", m.fetch(m.routePort(m.name)))
		require.Len(t, m.migrations(), 7)
	})
}
