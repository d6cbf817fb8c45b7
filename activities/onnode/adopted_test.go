package onnode_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
)

// byHand starts a container that bears no label of mcp's, and returns it as
// adopted by deployment 1.
func (h *host) byHand(t *testing.T) []fleet.Adopted {
	t.Helper()
	id, err := h.engine.Run(t.Context(), runtime.ContainerSpec{Name: "shop-api", Image: image})
	require.NoError(t, err)
	return []fleet.Adopted{{ID: id, Node: "rift", Service: "shop", Component: "api", Deployment: 1, Spec: "spec"}}
}

func TestAnAdoptedContainerIsSurveyedUnderAnyName(t *testing.T) {
	h := newHost(t)
	adopted := h.byHand(t)
	require.NoError(t, h.engine.Rename(t.Context(), "shop-api", "shop-api.prev"))
	survey := func(adopted []fleet.Adopted) []fleet.Container {
		found, err := h.Survey(t.Context(), onnode.SurveyInput{Service: "shop", Names: []string{"shop-api", "shop-api.prev"}, Adopted: adopted})
		require.NoError(t, err)
		return found.Containers
	}
	want := fleet.Container{Name: "shop-api.prev", Service: "shop", Component: "api", Deployment: 1, Spec: "spec", Running: true, ID: adopted[0].ID, Image: image}
	require.Equal(t, []fleet.Container{want}, survey(adopted))
	require.Equal(t, []fleet.Container{{Name: "shop-api.prev", Running: true, ID: adopted[0].ID, Image: image}}, survey(nil))
	require.NoError(t, h.engine.Rename(t.Context(), "shop-api.prev", "mine"))
	want.Name = "mine"
	require.Equal(t, []fleet.Container{want}, survey(adopted))
	require.NoError(t, h.engine.Remove(t.Context(), "mine"))
	require.Empty(t, survey(adopted))
}

func TestAnAdoptedContainerIsReplacedLikeOneOfMcps(t *testing.T) {
	h := newHost(t)
	adopted := h.byHand(t)
	swap := onnode.CutOverInput{Service: "shop", Deployment: 2, Replace: fleet.Refs("shop-api")}
	retire := onnode.RetireInput{Service: "shop", Deployment: 2, Containers: fleet.Refs("shop-api")}
	require.Nil(t, h.run(api(2)))
	require.Equal(t, fault.Conflict, h.do(h.CutOver, swap).Kind, "it is foreign")
	require.Equal(t, []string{"shop-api::running", "shop-api.next:2:running"}, h.names(t))

	swap.Adopted, retire.Adopted = adopted, adopted
	for range 2 {
		require.Nil(t, h.do(h.CutOver, swap))
		require.Equal(t, []string{"shop-api:2:running", "shop-api.prev::running"}, h.names(t))
		h.restartWorker()
	}
	for range 2 {
		require.Nil(t, h.do(h.Retire, retire))
		require.Equal(t, []string{"shop-api:2:running"}, h.names(t))
	}
}

func TestAnAdoptedContainerIsSetAsideAndPutBack(t *testing.T) {
	h := newHost(t)
	adopted := h.byHand(t)
	require.Nil(t, h.do(h.CutOver, onnode.CutOverInput{Service: "shop", Deployment: 2, Leave: fleet.Refs("shop-api"), Adopted: adopted}))
	require.Equal(t, []string{"shop-api.prev::running"}, h.names(t))
	require.Nil(t, h.do(h.Restore, onnode.RestoreInput{
		Service: "shop", Deployment: 2, Adopted: adopted,
		Recovery: plan.Recovery{Node: "rift", Rename: []plan.Rename{{From: "shop-api.prev", To: "shop-api"}}},
	}))
	require.Equal(t, []string{"shop-api::running"}, h.names(t))
	remove := onnode.RestoreInput{Service: "shop", Deployment: 3, Recovery: plan.Recovery{Node: "rift", Remove: fleet.Refs("shop-api")}}
	require.Nil(t, h.do(h.Restore, remove))
	require.Equal(t, []string{"shop-api::running"}, h.names(t), "it is foreign")
	remove.Adopted = adopted
	require.Nil(t, h.do(h.Restore, remove))
	require.Empty(t, h.names(t))
}
