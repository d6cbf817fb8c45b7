package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workflows"
)

// change runs a changing verb that must succeed or be unchanged, and waits until what
// it replaces is gone.
func (w *world) change(outcome workflows.Outcome, args ...string) workflows.Result {
	w.t.Helper()
	if slices.Contains([]string{"deploy", "rollback", "restart", "start"}, args[0]) {
		args = append(args, "--wait")
	}
	r := w.mcp(append(args, "--json")...)
	require.Zero(w.t, r.code, r)
	var result workflows.Result
	r.decode(w.t, &result)
	require.Equal(w.t, outcome, result.Outcome, r)
	require.False(w.t, result.Dirty)
	return result
}

func TestAServiceIsStoppedAndStartedAsItWasReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("calm", w.service("calm", "v1", ""))
	w.deploy("calm")
	w.source("v2", "")
	w.define("calm", w.service("calm", "v2", ""))
	w.deploy("calm")
	w.source("v3", "")
	require.Zero(t, w.mcp("build", "calm", "--force").code, "the tag has moved")
	require.NoError(t, os.Remove(filepath.Join(w.services, "calm.toml")), "its definition is not needed")

	before := w.containers("calm")
	w.change(workflows.Succeeded, "stop", "calm")
	stopped := w.status("calm")
	require.False(t, stopped.Active)
	require.Equal(t, "stopped", stopped.Components[0].DesiredState)
	require.Equal(t, "stopped", stopped.Components[0].ObservedState)
	require.Empty(t, stopped.Components[0].Drift)
	require.Len(t, w.containers("calm"), len(before), "it is kept")
	require.Equal(t, "http", w.portsHeld("calm"))
	w.change(workflows.Unchanged, "stop", "calm")
	require.Contains(t, w.mcp("history", "calm").stdout, "* 3  stop    succeeded")

	refused := w.mcp("restart", "calm")
	require.Equal(t, 1, refused.code, refused)
	require.Contains(t, refused.stderr, "hint:  start it: mcp start calm")

	started := w.change(workflows.Succeeded, "start", "calm")
	require.Equal(t, "v2", w.fetch(started.Components[0].Ports["http"]), "the image that it had")
	w.change(workflows.Unchanged, "start", "calm")

	back := w.mcp("rollback", "calm", "--wait")
	require.Zero(t, back.code, back)
	require.Contains(t, back.stderr, "to release 1", "release 2 runs, whichever verb started it")
	w.change(workflows.Succeeded, "stop", "calm")
	again := w.mcp("rollback", "calm", "--wait")
	require.Zero(t, again.code, again)
	require.Contains(t, again.stderr, "from release 8 to release 7", "the release that ran until the stop")
	require.Equal(t, "v1", w.fetch(w.routePort("calm")))

	w.change(workflows.Succeeded, "stop", "calm")
	w.define("calm", w.service("calm", "v1", ""))
	w.change(workflows.Succeeded, "deploy", "calm")
	require.Equal(t, "v1", w.fetch(w.routePort("calm")))
}

func TestARestartFailsNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("fresher", w.service("fresher", "v1", ""))
	first := w.deploy("fresher")
	require.NoError(t, os.Remove(filepath.Join(w.services, "fresher.toml")))
	id := w.podman("inspect", "fresher-app", "--format", "{{.Id}}")
	stop := w.asking("fresher")
	result := w.change(workflows.Succeeded, "restart", "fresher")
	stop("v1")
	require.NotEqual(t, id, w.podman("inspect", "fresher-app", "--format", "{{.Id}}"))
	require.Equal(t, first.Components[0].Digest, result.Components[0].Digest)
	require.False(t, w.status("fresher").Pending)
	back := w.mcp("rollback", "fresher", "--wait")
	require.Contains(t, back.stderr, "no release before", "it is the same release")
}

func TestARestartOfOneComponentLeavesTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("duo", w.pair("duo"))
	w.deploy("duo")
	t.Cleanup(func() { w.podman("volume", "rm", "--force", "duo-data") })
	t.Cleanup(func() { w.mcp("undeploy", "duo", "-y") })
	id := func(name string) string { return w.podman("inspect", name, "--format", "{{.Id}}") }
	web, db := id("duo-web"), id("duo-db")
	w.change(workflows.Succeeded, "restart", "duo/web")
	require.NotEqual(t, web, id("duo-web"))
	require.Equal(t, db, id("duo-db"))

	for _, wrong := range []string{"restart duo/cache", "restart nobody", "stop nobody", "start nobody", "stop duo/web"} {
		r := w.mcp(strings.Fields(wrong)...)
		require.Equal(t, 2, r.code, "%s: %v", wrong, r)
	}
}

// TestARestartOfAnAdoptedContainer restarts one whose image is in no image registry.
func TestARestartOfAnAdoptedContainer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	const image = "localhost/homemade:v1"
	w.podman("build", "--tag", image, filepath.Join(w.workspace, "src"))
	w.define("homemade", w.service("homemade", "v1", ""))
	w.byHand("homemade-app", image, w.freePort())
	adopted := w.adopt("homemade")
	id := w.podman("inspect", "homemade-app", "--format", "{{.Id}}")
	result := w.change(workflows.Succeeded, "restart", "homemade")
	require.NotEqual(t, id, w.podman("inspect", "homemade-app", "--format", "{{.Id}}"))
	require.Equal(t, adopted.Components[0].Digest, result.Components[0].Digest)
	require.Equal(t, "v1", w.fetch(w.routePort("homemade")))
	require.Empty(t, w.status("homemade").Components[0].Drift)
	require.Len(t, w.containers("homemade"), 1)
	w.change(workflows.Succeeded, "undeploy", "homemade", "-y")
	w.podman("rmi", "--ignore", image)
}
