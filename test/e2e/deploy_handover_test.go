package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workflows"
)

// published is a component that answers with its name, on a host port that its
// definition names.
type published struct {
	name string
	port int
	more string
}

// fixed is a service of such components.
func (w *world) fixed(name string, components ...published) string {
	text := fmt.Sprintf("name = %[1]q\nnode = \"local\"\npath = \"src\"\n\n[build.images]\n%[1]s = \"Containerfile\"\n", name)
	for _, c := range components {
		text += fmt.Sprintf(`
[[components]]
name = %q
image = %q
ports = ["127.0.0.1:%d:8000"]
%s
[components.env]
PORT = "8000"
VERSION = %[1]q
DATA = "/data"
[components.health]
start_period = "10s"
interval = "200ms"
retries = 1
`, c.name, w.image(name, "v1"), c.port, c.more)
	}
	return text
}

// portHolders are the components of a service that hold static ports.
func (w *world) portHolders(service string) string {
	w.t.Helper()
	return w.sql(fmt.Sprintf(`select string_agg(component || ' ' || host_port, ', ' order by component)
		from component_routes where service = '%s' and committed and rests_until is null`, service))
}

// volume is the directory of a named volume, which is removed at the end.
func (w *world) volume(name, service string) (dir, mount string) {
	w.t.Helper()
	w.podman("volume", "create", name)
	w.t.Cleanup(func() { w.podman("volume", "rm", "--force", name) })
	w.t.Cleanup(func() { w.mcp("undeploy", service, "-y") })
	return w.podman("volume", "inspect", name, "--format", "{{.Mountpoint}}"), fmt.Sprintf("volumes = [%q]", name+":/data")
}

func TestAComponentUnderAnotherNameTakesPortAndVolume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	port := w.freePort()
	dir, mount := w.volume("renamed-data", "renamed")
	w.define("renamed", w.fixed("renamed", published{"db", port, mount}))
	w.deploy("renamed")
	require.Equal(t, "db", w.fetch(port))

	// The container that has the volume must go before the one that gets it starts,
	// because its program ends where another one has the lock.
	w.define("renamed", w.fixed("renamed", published{"database", port, mount + "\ncmd = [\"/app\", \"say\", \"broken\", \"4\"]"}))
	planned := w.mcp("plan", "renamed")
	require.Contains(t, planned.stdout, fmt.Sprintf("takes tcp port %d from db, which stops first", port))
	require.Contains(t, planned.stdout, "takes volume renamed-data from db, which stops first")
	failed := w.mcp("deploy", "renamed")
	require.Equal(t, 1, failed.code, failed)
	require.Equal(t, "db", w.fetchAgain(port), "the undo has started it again")
	require.Equal(t, []string{"renamed-db 1 running"}, w.containers("renamed"))
	require.False(t, w.status("renamed").Dirty)
	require.Equal(t, fmt.Sprint("db ", port), w.portHolders("renamed"))

	w.define("renamed", w.fixed("renamed", published{"database", port, mount}))
	part := w.mcp("deploy", "renamed/database")
	require.Equal(t, 1, part.code, part)
	require.Contains(t, part.stderr, "which renamed/db has")
	require.Contains(t, part.stderr, "hint:  deploy the whole service, which hands it over: mcp deploy renamed")
	require.Equal(t, "db", w.fetch(port))

	require.Equal(t, workflows.Succeeded, w.change(workflows.Succeeded, "deploy", "renamed").Outcome)
	require.Equal(t, "database", w.fetch(port))
	require.Equal(t, fmt.Sprint("database ", port), w.portHolders("renamed"))
	require.NoFileExists(t, filepath.Join(dir, "overlap"))
	require.Equal(t, workflows.Unchanged, w.deploy("renamed").Outcome)
	require.Empty(t, w.status("renamed").Components[0].Drift)
}

func TestTwoComponentsExchangeTheirPorts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	dir := t.TempDir()
	for _, name := range []string{"blue", "green"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o777))
	}
	mount := func(name string) string { return fmt.Sprintf("volumes = [%q]", filepath.Join(dir, name)+":/data") }
	one, two := w.freePort(), w.freePort()
	w.define("swapped", w.fixed("swapped", published{"blue", one, mount("blue")}, published{"green", two, mount("green")}))
	w.deploy("swapped")
	t.Cleanup(func() { w.mcp("undeploy", "swapped", "-y") })

	// Both the ports and the directories change hands.
	broken := "\ncmd = [\"/app\", \"say\", \"broken\", \"4\"]"
	w.define("swapped", w.fixed("swapped", published{"blue", two, mount("green")}, published{"green", one, mount("blue") + broken}))
	failed := w.mcp("deploy", "swapped")
	require.Equal(t, 1, failed.code, failed)
	require.Contains(t, failed.stderr, "exited with code 4")
	require.Equal(t, "blue", w.fetchAgain(one))
	require.Equal(t, "green", w.fetchAgain(two))
	require.Equal(t, []string{"swapped-blue 1 running", "swapped-green 1 running"}, w.containers("swapped"))
	require.Equal(t, fmt.Sprintf("blue %d, green %d", one, two), w.portHolders("swapped"))

	w.define("swapped", w.fixed("swapped", published{"blue", two, mount("green")}, published{"green", one, mount("blue")}))
	w.change(workflows.Succeeded, "deploy", "swapped")
	require.Equal(t, "green", w.fetch(one))
	require.Equal(t, "blue", w.fetch(two))
	require.Equal(t, fmt.Sprintf("blue %d, green %d", two, one), w.portHolders("swapped"))
	for _, name := range []string{"blue", "green"} {
		require.NoFileExists(t, filepath.Join(dir, name, "overlap"))
	}
	w.change(workflows.Unchanged, "deploy", "swapped")
}

func TestAPortOfAnotherServiceIsRefusedBeforeAnythingStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	one, two := w.freePort(), w.freePort()
	here := "volumes = [\"" + t.TempDir() + ":/data\"]"
	w.define("wanting", w.fixed("wanting", published{"web", one, here}))
	there := "volumes = [\"" + t.TempDir() + ":/data\"]"
	w.define("having", w.fixed("having", published{"web", two, there}))
	for _, name := range []string{"wanting", "having"} {
		w.deploy(name)
		t.Cleanup(func() { w.mcp("undeploy", name, "-y") })
	}
	before := w.identity("wanting-web")
	w.define("wanting", w.fixed("wanting", published{"web", two, here}))
	for _, verb := range []string{"plan", "deploy"} {
		refused := w.mcp(verb, "wanting")
		require.NotZero(t, refused.code, refused)
		require.Contains(t, refused.stderr, fmt.Sprintf("component web needs tcp port %d on node local, which having/web has", two))
	}
	require.Equal(t, before, w.identity("wanting-web"), "it has run all the time")
	check := w.mcp("service", "check")
	require.Equal(t, 2, check.code, check)
	require.Contains(t, check.stdout, fmt.Sprintf("host port %d/tcp on node local is taken by", two))

	w.define("having", w.fixed("having", published{"web", one, there}))
	circle := w.mcp("deploy", "having", "wanting")
	require.Equal(t, 2, circle.code, circle)
	require.Contains(t, circle.stderr, "no service can be deployed first")
	require.Equal(t, before, w.identity("wanting-web"))

	w.define("having", w.fixed("having", published{"web", w.freePort(), there}))
	together := w.mcp("deploy", "wanting", "having")
	require.Zero(t, together.code, together)
	require.Equal(t, "web", w.fetch(two))
	require.Equal(t, fmt.Sprint("web ", two), w.portHolders("wanting"))
}
