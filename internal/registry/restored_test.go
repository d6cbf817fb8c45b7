package registry_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// A registry that was restored from a backup gives a number once more. What the
// deployment that had it first still asks for changes nothing.
func TestAStepOfAnotherRunOfTheNumberIsRefused(t *testing.T) {
	store, _ := newStore(t)
	begin(t, store, "shop", "api")
	conflict := func(err error) {
		t.Helper()
		require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	}
	request := portRequest("shop", "api", 1, []int{20001}, "rest")
	request.Run = "lost"
	_, err := store.AllocatePorts(t.Context(), request)
	conflict(err)
	_, err = store.CommitRelease(t.Context(), fleet.CommitRequest{Service: "shop", Deployment: 1, Run: "lost"}, noRoutes)
	conflict(err)
	require.NoError(t, store.FinishDeployment(t.Context(), fleet.FinishRequest{
		Service: "shop", Deployment: 1, Run: "lost", Outcome: "failed", Undone: []string{"all"}, Dirty: true,
	}))
	deployments, err := store.Deployments(t.Context(), "shop", 0)
	require.NoError(t, err)
	require.Empty(t, deployments[0].Outcome, "it is under way")

	finish(t, store, "shop", 1, "failed", "on rift start shop-api")
	require.NoError(t, store.MarkMended(t.Context(), "shop", 1, "lost"))
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.True(t, release.Dirty)
	require.Equal(t, runOf("shop", 1), release.NewestRun)
}

func TestNumbersHave64BitsAndANodeRaisesThemByMaxAheadAtMost(t *testing.T) {
	store, address := newStore(t)
	request := beginRequest(definition("shop", "api"))
	_, err := store.BeginDeployment(t.Context(), request)
	require.NoError(t, err)
	renumber := func(floor int) (int, error) {
		return store.Renumber(t.Context(), fleet.RenumberRequest{Service: "shop", RunID: request.RunID, Floor: floor})
	}
	for _, floor := range []int{math.MaxInt, math.MaxInt32, fleet.MaxAhead + 2} {
		_, err := renumber(floor)
		require.True(t, fault.Is(err, fault.Invalid), "%d: %v", floor, err)
	}
	number, err := renumber(fleet.MaxAhead + 1)
	require.NoError(t, err)
	require.Equal(t, fleet.MaxAhead+2, number)

	const large = math.MaxInt32 + 5
	exec(t, address, "update deployments set number = 2147483652; update services set newest = 2147483652")
	commit(t, store, "shop", large, member("shop", "api", large))
	finish(t, store, "shop", large, "succeeded")
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, large, release.Number)
	require.Equal(t, large+1, begin(t, store, "shop", "api").Number)
}

func TestANodeThatAnswersADeploymentIsOfTheFleet(t *testing.T) {
	store, _ := newStore(t)
	watched := func() []fleet.WatchedNode {
		nodes, err := store.WatchedNodes(t.Context())
		require.NoError(t, err)
		return nodes
	}
	begin(t, store, "shop", "api")
	require.Empty(t, watched())
	require.NoError(t, store.FinishDeployment(t.Context(), fleet.FinishRequest{
		Service: "shop", Deployment: 1, Outcome: "succeeded", Nodes: []string{"rift"}, Answered: []string{"rift"},
	}))
	require.Equal(t, []fleet.WatchedNode{{Name: "rift"}}, watched())
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, []string{"rift"}, release.Touched)
}

func TestOnlyNodesOfTheFleetAreTouched(t *testing.T) {
	store, _ := newStore(t)
	record(t, store, fleet.NodeRecord{Name: "rift"})
	record(t, store, fleet.NodeRecord{Name: "orion"})
	touched := func() []string {
		release, err := store.Release(t.Context(), "shop")
		require.NoError(t, err)
		return release.Touched
	}
	on := func(node string) int {
		d := definition("shop", "api")
		d.Components[0].Node = node
		begun, err := store.BeginDeployment(t.Context(), beginRequest(d))
		require.NoError(t, err)
		return begun.Number
	}
	on("rift")
	finish(t, store, "shop", 1, "succeeded")
	on("lcoal") // of which no worker was ever seen
	require.Equal(t, []string{"rift"}, touched())
	finish(t, store, "shop", 2, "failed")

	on("orion") // which never answers
	require.Equal(t, []string{"orion", "rift"}, touched(), "until it is known")
	require.NoError(t, store.FinishDeployment(t.Context(), fleet.FinishRequest{Service: "shop", Deployment: 3, Outcome: "failed", Nodes: []string{}}))
	require.Equal(t, []string{"rift"}, touched())

	on("orion")
	finish(t, store, "shop", 4, "failed", "on orion remove shop-api.next")
	require.Equal(t, []string{"orion", "rift"}, touched())
	require.NoError(t, removeNode(t, store, "orion", func(fleet.NodeUse) error { return nil }))
	require.Equal(t, []string{"rift"}, touched(), "a node that was removed is gone")
}
