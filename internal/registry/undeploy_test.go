package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/servicedef"
)

// undeploy opens a deployment that leaves nothing of a service.
func undeploy(t *testing.T, store *registry.Store, service string) fleet.BeginResult {
	t.Helper()
	release, err := store.Release(t.Context(), service)
	require.NoError(t, err)
	request := beginRequest(plan.Undeployed(release))
	request.Verb = "undeploy"
	begun, err := store.BeginDeployment(t.Context(), request)
	require.NoError(t, err)
	return begun
}

// withdraw commits a release without members.
func withdraw(t *testing.T, store *registry.Store, service string, deployment int) {
	t.Helper()
	_, err := store.CommitRelease(t.Context(), fleet.CommitRequest{Service: service, Deployment: deployment}, noRoutes)
	require.NoError(t, err)
}

func TestAReleaseWithoutMembersHoldsNothing(t *testing.T) {
	store, address := newStore(t)
	record(t, store, fleet.NodeRecord{Name: "rift"})
	begin(t, store, "shop", "api", "db")
	request := staticRequest("shop", "api", 1, 8080)
	request.Routes, request.Candidates = portRequest("", "", 0, nil, "rest").Routes, []int{20001}
	allocate(t, store, request)
	allocate(t, store, staticRequest("shop", "db", 1, 5432))
	commit(t, store, "shop", 1, member("shop", "api", 1, fleet.Route{Name: "rest", Port: 8443, Mode: "l4", HostPort: 20001}), member("shop", "db", 1))
	finish(t, store, "shop", 1, "succeeded")

	begun := undeploy(t, store, "shop")
	require.Equal(t, []string{"rift"}, begun.Release.Touched)
	require.Len(t, begun.Release.Components, 2, "until the commit it is what it was")
	for range 2 {
		withdraw(t, store, "shop", 2)
	}
	begin(t, store, "blog", "web")
	portAwaited(t, store, staticRequest("blog", "web", 1, 5432)) // its container still runs
	require.NoError(t, store.ReleasePorts(t.Context(), "shop", time.Hour))
	finish(t, store, "shop", 2, "succeeded")

	require.Zero(t, count(t, address, "select count(*) from components"))
	require.Equal(t, 3, count(t, address, "select count(*) from component_routes where rests_until > now()"))
	require.Zero(t, count(t, address, "select count(*) from component_routes where committed or rests_until is null"))
	allocate(t, store, staticRequest("blog", "web", 1, 5432))

	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, fleet.Release{
		Service: "shop", Number: 2, Newest: 2, NewestRun: begun.Release.NewestRun, Touched: []string{},
		Definition: &servicedef.Service{Name: "shop", Node: "rift", Components: []servicedef.Component{}},
	}, release, "its history is all that is left")
	require.Equal(t, plan.Undeployed(release).Hash(), release.Definition.Hash(), "there is nothing more to undeploy")
}

func TestNodesStayTouchedByAnUndeployThatLeftContainers(t *testing.T) {
	store, _ := newStore(t)
	record(t, store, fleet.NodeRecord{Name: "rift"})
	begin(t, store, "shop", "api")
	commit(t, store, "shop", 1, member("shop", "api", 1))
	finish(t, store, "shop", 1, "succeeded")
	undeploy(t, store, "shop")
	withdraw(t, store, "shop", 2)
	finish(t, store, "shop", 2, "succeeded", "retire on rift: the node does not answer")

	again := undeploy(t, store, "shop")
	require.True(t, again.Release.Dirty)
	require.Equal(t, []string{"rift"}, again.Release.Touched)
}

func TestARollbackToAnUndeployIsRefused(t *testing.T) {
	store, _ := newStore(t)
	begin(t, store, "shop", "api")
	commit(t, store, "shop", 1, member("shop", "api", 1))
	finish(t, store, "shop", 1, "succeeded")
	undeploy(t, store, "shop")
	withdraw(t, store, "shop", 2)
	finish(t, store, "shop", 2, "succeeded")

	_, err := store.Snapshot(t.Context(), "shop", 2)
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	require.Equal(t, "choose a release before it: mcp history shop", fault.Of(err).Hint)
	snapshot, err := store.Snapshot(t.Context(), "shop", 1)
	require.NoError(t, err)
	require.Equal(t, definition("shop", "api"), snapshot.Definition)
}

func TestADefinitionWithoutComponentsBreaksNoOther(t *testing.T) {
	store, _ := newStore(t)
	begin(t, store, "shop") // its components are null
	begin(t, store, "blog", "web")
	records, err := store.Services(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, records, 2)
}
