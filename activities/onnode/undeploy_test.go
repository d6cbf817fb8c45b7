package onnode_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// leave is the cut-over of an undeploy: there is no successor.
func (h *host) leave(n int) *fault.Error {
	return h.do(h.CutOver, onnode.CutOverInput{Service: "shop", Deployment: n, Leave: fleet.Refs("shop-api")})
}

func (h *host) retire(n int) *fault.Error {
	return h.do(h.Retire, onnode.RetireInput{Service: "shop", Deployment: n, Containers: fleet.Refs("shop-api")})
}

func TestEveryStepOfAnUndeployMayRunTwice(t *testing.T) {
	h := newHost(t)
	require.Nil(t, h.run(api(1)))
	require.Nil(t, h.cutOver(1))
	for range 2 {
		require.Nil(t, h.leave(2))
		require.Equal(t, []string{"shop-api.prev:1:running"}, h.names(t))
		h.restartWorker()
	}
	for range 2 {
		require.Nil(t, h.retire(2))
		require.Empty(t, h.names(t))
	}
	require.Nil(t, h.leave(2), "a late repetition")
}

func TestAnUndeployLeavesForeignContainersAlone(t *testing.T) {
	h := newHost(t)
	_, err := h.engine.Run(t.Context(), runtime.ContainerSpec{Name: "shop-api", Image: image})
	require.NoError(t, err)
	require.Nil(t, h.leave(2), "the service's own is gone, and that is all that was asked for")
	require.Nil(t, h.retire(2))
	require.Equal(t, []string{"shop-api::running"}, h.names(t))
}
