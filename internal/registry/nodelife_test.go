package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/watch"
)

// claim claims the name rift.
func claim(t *testing.T, store *registry.Store, m fleet.Machine, silent *fleet.Machine) fleet.ClaimResult {
	t.Helper()
	result, err := store.ClaimNode(t.Context(), fleet.Claim{Node: "rift", Address: "10.0.0.1", Machine: m, Silent: silent}, nil, watch.Judge)
	require.NoError(t, err)
	return result
}

func TestANodesNameBelongsToOneMachine(t *testing.T) {
	store, address := newStore(t)
	record(t, store, fleet.NodeRecord{Name: "rift"}) // by a worker that claims nothing
	first, other := fleet.Machine{ID: "m1", Boot: "b1", Hostname: "one"}, fleet.Machine{ID: "m2", Boot: "b2", Hostname: "two"}
	vacant := claim(t, store, first, nil)
	require.Equal(t, fleet.ClaimOpen, vacant.Verdict)
	require.Empty(t, vacant.Holder.Machine)
	require.Equal(t, fleet.ClaimGranted, claim(t, store, first, &fleet.Machine{}).Verdict)
	for range 2 {
		require.Equal(t, fleet.ClaimGranted, claim(t, store, first, nil).Verdict, "its worker may be restarted")
	}
	observe(t, store, fleet.Observation{Node: "rift", At: time.Now(), Status: &fleet.NodeStatus{}})

	refused := claim(t, store, other, &fleet.Machine{})
	require.Equal(t, fleet.ClaimRefused, refused.Verdict)
	require.Equal(t, first, refused.Holder.Machine)
	require.Equal(t, "10.0.0.1", refused.Holder.Address)
	require.WithinDuration(t, time.Now(), refused.Holder.Since, time.Minute)
	require.WithinDuration(t, time.Now(), refused.Holder.Answered, time.Minute)

	rebooted := first
	rebooted.Boot = "b9"
	require.Equal(t, fleet.ClaimOpen, claim(t, store, rebooted, nil).Verdict)
	require.Equal(t, fleet.ClaimGranted, claim(t, store, rebooted, &first).Verdict)
	require.Equal(t, fleet.ClaimOpen, claim(t, store, first, nil).Verdict, "a clone that has not been booted since")
	kept := claim(t, store, rebooted, nil)
	require.True(t, kept.Holder.Since.Equal(refused.Holder.Since), "a boot does not reset it")

	require.NoError(t, removeNode(t, store, "rift", watch.MayRemove))
	require.Equal(t, fleet.ClaimGranted, claim(t, store, other, &fleet.Machine{}).Verdict)
	require.Zero(t, count(t, address, "select count(*) from nodes where seen is not null"), "it has yet to announce itself")
}

func TestWhichNodesAreDraining(t *testing.T) {
	store, _ := newStore(t)
	begin(t, store, "shop", "web", "api") // names rift, which has not announced itself
	_, err := store.SetDraining(t.Context(), "rift", true)
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	record(t, store, fleet.NodeRecord{Name: "rift"})
	record(t, store, fleet.NodeRecord{Name: "orion"})
	commit(t, store, "shop", 1, member("shop", "web", 1), member("shop", "api", 1))
	finish(t, store, "shop", 1, "succeeded")

	for range 2 {
		there, err := store.SetDraining(t.Context(), "rift", true)
		require.NoError(t, err)
		require.Equal(t, []fleet.ServiceOn{{Service: "shop", Components: []string{"api", "web"}}}, there)
	}
	states, err := store.NodeStates(t.Context())
	require.NoError(t, err)
	require.Equal(t, []bool{false, true}, []bool{states[0].Draining, states[1].Draining})
	record(t, store, fleet.NodeRecord{Name: "rift", Version: "v2"})
	require.Equal(t, []string{"rift"}, begin(t, store, "shop", "web").Release.Draining, "a restart of its worker ends it not")
	for _, service := range []string{"shop", "new"} {
		release, err := store.Release(t.Context(), service)
		require.NoError(t, err)
		require.Equal(t, []string{"rift"}, release.Draining)
	}
	_, err = store.SetDraining(t.Context(), "rift", false)
	require.NoError(t, err)
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Empty(t, release.Draining)
}

// A release comes with the containers of other services that have names like its own.
func TestWhichNamesOtherServicesHave(t *testing.T) {
	store, _ := newStore(t)
	for _, service := range []string{"shop-web", "shop", "shopping"} {
		begin(t, store, service, "app")
		commit(t, store, service, 1, member(service, "app", 1))
	}
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, []fleet.Other{{Service: "shop-web", Node: "rift", Container: "shop-web-app"}}, release.Others)
	for _, alone := range []string{"shop-web", "shopping", "new"} {
		release, err := store.Release(t.Context(), alone)
		require.NoError(t, err)
		require.Empty(t, release.Others)
	}
}

func TestANodeIsRemovedWhenNothingShouldRunThere(t *testing.T) {
	w := newMonitored(t)
	require.Equal(t, "missing", w.observe(observed()))
	begin(t, w.store, "shop", "web")
	_, err := w.store.AllocatePorts(t.Context(), portRequest("shop", "web", 2, []int{20001}, "http"))
	require.NoError(t, err)

	_, err = w.store.RemoveNode(t.Context(), "rift", watch.MayRemove)
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	require.ErrorContains(t, err, "node rift is to run shop (web)")
	_, err = w.store.CommitRelease(t.Context(), fleet.CommitRequest{Service: "shop", Deployment: 2}, noRoutes)
	require.NoError(t, err)
	_, err = w.store.RemoveNode(t.Context(), "rift", watch.MayRemove)
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	require.ErrorContains(t, err, "a deployment of shop to node rift is under way")

	finish(t, w.store, "shop", 2, "succeeded")
	require.NoError(t, w.store.ReleasePorts(t.Context(), "shop", time.Hour))
	require.Positive(t, count(t, w.address, "select count(*) from component_routes where node = 'rift'"), "a port that rests")
	for range 2 {
		require.NoError(t, removeNode(t, w.store, "rift", watch.MayRemove))
	}
	for _, table := range []string{"nodes where name", "node_status where node", "drift where node", "component_routes where node"} {
		require.Zero(t, count(t, w.address, "select count(*) from "+table+" = 'rift'"), table)
	}
	events, err := w.store.Events(t.Context(), fleet.EventQuery{Node: "rift"})
	require.NoError(t, err)
	require.Len(t, events, 1, "the events of the node are kept")
	deployments, err := w.store.Deployments(t.Context(), "shop", 0)
	require.NoError(t, err)
	require.Len(t, deployments, 2)

	begin(t, w.store, "shop", "web")
	_, err = w.store.RecordObservation(t.Context(), observing(fleet.Observation{Node: "rift", At: time.Now()}), watch.Assess)
	require.True(t, fault.Is(err, fault.NotFound), "a definition names it, and that is all: %v", err)
}

func removeNode(t *testing.T, store *registry.Store, node string, may func(fleet.NodeUse) error) error {
	t.Helper()
	_, err := store.RemoveNode(t.Context(), node, may)
	return err
}

func TestANodeThatOnlyADefinitionNamesCanBeRemoved(t *testing.T) {
	store, _ := newStore(t)
	d := definition("shop", "api")
	d.Components[0].Node = "lcoal"
	_, err := store.BeginDeployment(t.Context(), beginRequest(d))
	require.NoError(t, err)
	finish(t, store, "shop", 1, "failed")
	for _, test := range []struct {
		node  string
		named bool
	}{{"lcoal", true}, {"lcoal", true}, {"never", false}} {
		named, err := store.RemoveNode(t.Context(), test.node, watch.MayRemove)
		require.NoError(t, err)
		require.Equal(t, test.named, named, test.node)
	}
}
