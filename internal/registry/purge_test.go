package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/disposal"
)

func TestAPurgeDeletesAServiceOfWhichNothingIsLeft(t *testing.T) {
	w := newMonitored(t) // shop runs on rift, as release 1
	require.Equal(t, "missing", w.observe(observed()))
	_, err := w.store.RecordDefinition(t.Context(), definition("shop", "web"))
	require.NoError(t, err)
	begin(t, w.store, "blog", "web")
	commit(t, w.store, "blog", 1, member("blog", "web", 1))
	finish(t, w.store, "blog", 1, "succeeded")

	refused := func(text string) {
		t.Helper()
		for _, dry := range []bool{true, false} {
			_, err := w.store.Purge(t.Context(), "shop", dry, disposal.MayPurge)
			require.True(t, fault.Is(err, fault.Conflict), "%v", err)
			require.ErrorContains(t, err, text)
		}
	}
	refused("release 1 of shop has containers: shop-web on rift")
	undeploying := beginRequest(plan.Undeployed(fleet.Release{Service: "shop"}))
	begun, err := w.store.BeginDeployment(t.Context(), undeploying)
	require.NoError(t, err)
	_, err = w.store.AllocatePorts(t.Context(), portRequest("shop", "web", begun.Number, []int{20001}, "http"))
	require.NoError(t, err)
	_, err = w.store.CommitRelease(t.Context(), fleet.CommitRequest{Service: "shop", Deployment: begun.Number}, noRoutes)
	require.NoError(t, err)
	refused("deployment 2 of shop has not ended")
	finish(t, w.store, "shop", begun.Number, "succeeded", "retire on rift")
	record(t, w.store, fleet.NodeRecord{Name: "rift"})
	refused("shop is dirty: containers of it may be left on rift")
	require.NoError(t, w.store.MarkMended(t.Context(), "shop", begun.Number, ""))
	require.NoError(t, w.store.ReleasePorts(t.Context(), "shop", time.Hour))

	counted, err := w.store.Purge(t.Context(), "shop", true, disposal.MayPurge)
	require.NoError(t, err)
	require.Equal(t, fleet.Forgotten{Service: "shop", Deployments: 2, Definitions: 1, Ports: 1, Events: 1, Drift: 1}, counted)
	for _, forgotten := range []fleet.Forgotten{counted, {Service: "shop"}} { // it may be called twice
		gone, err := w.store.Purge(t.Context(), "shop", false, disposal.MayPurge)
		require.NoError(t, err)
		require.Equal(t, forgotten, gone)
		require.Equal(t, forgotten == fleet.Forgotten{Service: "shop"}, gone.Nothing())
	}
	for _, rows := range []string{
		"services where name", "deployments where service", "component_routes where service", "events where service", "drift where service",
	} {
		require.Zero(t, count(t, w.address, "select count(*) from "+rows+" = 'shop'"), rows)
	}
	release, err := w.store.Release(t.Context(), "blog")
	require.NoError(t, err)
	require.Len(t, release.Components, 1, "another service stays as it is")

	again := begin(t, w.store, "shop", "web")
	require.Equal(t, 1, again.Number)
	require.Zero(t, again.Release.Number)
	require.False(t, again.Release.Dirty)
}

func TestAPurgeDeletesDeploymentsThatNeverBecameReleases(t *testing.T) {
	store, _ := newStore(t)
	begin(t, store, "shop", "web")
	finish(t, store, "shop", 1, "failed", "undo on rift")
	_, err := store.RecordDefinition(t.Context(), definition("blog", "web"))
	require.NoError(t, err)
	for service, want := range map[string]fleet.Forgotten{
		"shop": {Service: "shop", Deployments: 1}, // its node has been removed, or was never there
		"blog": {Service: "blog", Definitions: 1},
		"none": {Service: "none"},
	} {
		gone, err := store.Purge(t.Context(), service, false, disposal.MayPurge)
		require.NoError(t, err)
		require.Equal(t, want, gone)
	}
	records, err := store.Services(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, records)
}
