package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAMissingContainerIsDeployedAgainWhereReconcileIsSet(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	w.source("v1", "")
	for _, name := range []string{w.node + "-shop", w.node + "-blog"} {
		container := name + "-app"
		t.Cleanup(func() { w.podman("rm", "--force", "--ignore", container) })
	}
	shop, blog := w.node+"-shop", w.node+"-blog"
	w.define(shop, "reconcile = true\n"+w.service(shop, "v1", ""))
	w.define(blog, w.service(blog, "v1", ""))
	w.deploy(shop)
	w.deploy(blog)

	w.podman("rm", "--force", "--time", "0", shop+"-app", blog+"-app")
	healed := func() bool { // an observation may find it stopped before it is missing
		events := w.events(shop)
		return len(events) > 2 && events[len(events)-1].Ended && slices.Contains(kinds(events), "reconcile")
	}
	require.Eventually(t, healed, time.Minute, 250*time.Millisecond)
	status := w.status(shop).Components[0]
	require.Equal(t, "running", status.ObservedState)
	require.Empty(t, status.Drift)

	history := w.mcp("history", shop)
	require.Regexp(t, `2 +reconcile +succeeded`, history.stdout)
	require.Contains(t, history.stdout, "monitor")
	back := w.mcp("rollback", shop, "--wait")
	require.Equal(t, 1, back.code, back)
	require.Contains(t, back.stderr, "no release before", "the monitor deploys the same release")

	require.Contains(t, kinds(w.events(blog)), "missing")
	require.NotContains(t, kinds(w.events(blog)), "reconcile", "drift is only reported")
}
