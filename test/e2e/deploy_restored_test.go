package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/workflows"
)

// dump copies the rows of a service, and returns what brings them back, as the restore of
// a backup does.
func (w *world) dump(service string) (restore func()) {
	w.t.Helper()
	schema := "dump_" + strings.ReplaceAll(service, "-", "_")
	of := func(table string) string {
		return fmt.Sprintf("create table %[1]s.%[2]s as select * from %[2]s where service = '%[3]s';", schema, table, service)
	}
	w.sql(fmt.Sprintf("create schema %[1]s; create table %[1]s.services as select * from services where name = '%[2]s';", schema, service) +
		of("deployments") + of("components") + of("component_routes"))
	w.t.Cleanup(func() { w.sql("drop schema " + schema + " cascade") })
	return func() {
		w.t.Helper()
		back := func(table string) string {
			return fmt.Sprintf("insert into %[2]s select * from %[1]s.%[2]s;", schema, table)
		}
		w.sql(fmt.Sprintf(`
			update services set release = null where name = '%[1]s';
			delete from component_routes where service = '%[1]s';
			delete from components where service = '%[1]s';
			delete from deployments where service = '%[1]s';`, service) + back("deployments") + fmt.Sprintf(`
			update services s set release = d.release, newest = d.newest, active = d.active, dirty = d.dirty,
			       definition = d.definition, definition_hash = d.definition_hash
			from %s.services d where d.name = s.name;`, schema) + back("components") + back("component_routes"))
	}
}

// drift is that of a service's only component.
func (w *world) drift(service string) string {
	w.t.Helper()
	var list []struct{ Components []struct{ Drift []string } }
	r := w.mcp("status", service, "--json")
	r.decode(w.t, &list)
	return strings.Join(list[0].Components[0].Drift, ",")
}

func TestARestoredRegistryTakesNoOtherDeploymentForItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := func(version string) workflows.Result {
		w.source(version, "")
		w.define("backup", w.service("backup", version, ""))
		return w.deploy("backup")
	}
	require.Equal(t, 1, release("v1").Deployment)
	restore := w.dump("backup")
	lost := release("v2")
	require.Equal(t, 2, lost.Deployment)
	restore()
	require.Equal(t, "wrong-image,wrong-ports", w.drift("backup"))

	third := release("v3")
	require.Equal(t, workflows.Succeeded, third.Outcome)
	require.Equal(t, 3, third.Deployment, "the node has seen a 2 of another run")
	require.False(t, third.Dirty)
	require.Equal(t, []string{"backup-app 3 running"}, w.containers("backup"))
	found, err := podman.New(shared.platform.Info().Podman).Inspect(t.Context(), "backup-app")
	require.NoError(t, err)
	require.Equal(t, third.RunID, found.Labels[runtime.LabelRun])
	require.Equal(t, "v3", w.fetch(third.Components[0].Ports["http"]))
	require.Equal(t, third.Components[0].Ports["http"], w.routePort("backup"))
	require.Empty(t, w.drift("backup"))
	require.Equal(t, workflows.Unchanged, w.deploy("backup").Outcome)
}

func TestAContainerOnOtherPortsThanTheRegistryHasIsDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("ported", w.service("ported", "v1", ""))
	w.deploy("ported")
	require.Empty(t, w.drift("ported"))
	w.sql("update component_routes set host_port = 9 where service = 'ported'")
	require.Equal(t, "wrong-ports", w.drift("ported"))
	again := w.deploy("ported")
	require.Equal(t, workflows.Succeeded, again.Outcome)
	require.Equal(t, "on other ports", again.Components[0].Changes[0].From)
	require.Empty(t, w.drift("ported"))
	require.Equal(t, "v1", w.fetch(w.routePort("ported")))
}

func TestANodeThatNeverAnsweredIsNotLeftToCleanUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	definition := w.service("mistyped", "v1", "")
	w.define("mistyped", strings.Replace(definition, `node = "local"`, `node = "lcoal"`, 1))
	require.Equal(t, 1, w.mcp("deploy", "mistyped").code)
	w.define("mistyped", definition)
	result := w.deploy("mistyped")
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.False(t, result.Dirty)
	w.eachActivity(result.WorkflowID, result.RunID, func(activity, queue string, _ []byte) {
		require.NotEqual(t, "node-lcoal", queue, activity)
	})
	removed := w.mcp("node", "remove", "lcoal", "-y")
	require.Zero(t, removed.code, removed)
	unknown := w.mcp("node", "remove", "nobody", "-y")
	require.Equal(t, 2, unknown.code, unknown)
	require.Contains(t, unknown.stderr, "no node is called nobody")
}

func TestANodeThatIsRemovedIsGoneFromItsServices(t *testing.T) {
	t.Parallel()
	w, worker := watched(t)
	w.source("v1", "")
	name := w.node + "-left"
	on := func(node string) {
		w.define(name, strings.Replace(w.service(name, "v1", ""), fmt.Sprintf("node = %q", w.node), fmt.Sprintf("node = %q", node), 1))
	}
	on(w.node)
	w.deploy(name)
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", name+"-app") })
	w.awaitObservations(1)
	worker.signal(syscall.SIGTERM)
	require.Zero(t, worker.code(time.Minute))

	w.worker("--node", w.node+"-next")
	on(w.node + "-next")
	require.Eventually(t, func() bool { return w.mcp("node", "status", w.node+"-next").code == 0 }, time.Minute, 250*time.Millisecond)
	require.True(t, w.deploy(name).Dirty, "its container may still run there")
	require.Zero(t, w.mcp("node", "remove", w.node, "-y").code)
	result := w.deploy(name)
	require.False(t, result.Dirty, result.Undone)
	require.Equal(t, workflows.Unchanged, w.deploy(name).Outcome)
	require.Zero(t, w.mcp("undeploy", name, "-y").code)
	purged := w.mcp("purge", name, "-y")
	require.Zero(t, purged.code, purged)
}

func TestAnUndeployRemovesAContainerWhoseNameIsAnothers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("misnamed", w.service("misnamed", "v1", ""))
	w.deploy("misnamed")
	w.podman("rename", "misnamed-app", "misnamed-mine")
	w.podman("create", "--name", "misnamed-app", w.image("misnamed", "v1"))
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", "misnamed-app") })
	require.Equal(t, "renamed", w.drift("misnamed"))

	undeployed := w.mcp("undeploy", "misnamed", "-y")
	require.Zero(t, undeployed.code, undeployed)
	require.Empty(t, w.containers("misnamed"))
	require.Equal(t, "misnamed-app", w.podman("ps", "--all", "--filter", "name=^misnamed-", "--format", "{{.Names}}"))
}

func TestALabelMakesNoServiceUnusable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("victim", w.service("victim", "v1", ""))
	w.deploy("victim")
	label := func(number string) {
		w.podman("create", "--name", "labelled-"+number, "--label", "mcp.service=victim", "--label", "mcp.component=app",
			"--label", "mcp.deployment="+number, w.image("victim", "v1"))
		t.Cleanup(func() { w.podman("rm", "--force", "--ignore", "labelled-"+number) })
	}
	label("9223372036854775807")
	label("2147483646")
	second := w.deploy("victim")
	require.Equal(t, workflows.Succeeded, second.Outcome)
	require.Equal(t, 2, second.Deployment, "no registry has lost so many")
	require.Equal(t, []string{"victim-app 1 running"}, w.containers("victim"), "the labelled ones are removed")

	label("1000") // which a registry may have lost
	third := w.deploy("victim")
	require.Equal(t, 1001, third.Deployment)
	require.False(t, third.Dirty)
	w.source("v2", "")
	w.define("victim", w.service("victim", "v2", ""))
	require.Equal(t, 1002, w.deploy("victim").Deployment)
	label("2147483647")
	for _, verb := range [][]string{{"rollback", "victim"}, {"undeploy", "victim", "-y"}, {"purge", "victim", "-y"}} {
		r := w.mcp(verb...)
		require.Zero(t, r.code, r)
	}
}
