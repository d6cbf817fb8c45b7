package onnode_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

func TestACutOverThatDiedBetweenItsRenamesGoesOn(t *testing.T) {
	h := newHost(t)
	require.Nil(t, h.run(api(1)))
	require.Nil(t, h.cutOver(1))
	require.Nil(t, h.run(api(2)))
	died := errors.New("worker died")
	h.engine.Before = func(method, name string) error {
		if method == "Rename" && strings.HasSuffix(name, ".next") {
			return died
		}
		return nil
	}
	require.NotNil(t, h.cutOver(2))
	require.ElementsMatch(t, []string{"shop-api.prev:1:running", "shop-api.next:2:running"}, h.names(t))
	h.engine.Before = nil
	h.restartWorker()
	require.Nil(t, h.cutOver(2))
	require.ElementsMatch(t, []string{"shop-api.prev:1:running", "shop-api:2:running"}, h.names(t))
}

func TestACutOverIsRefusedBeforeItsFirstRename(t *testing.T) {
	tests := map[string]struct {
		spoil func(*host)
		want  string
	}{
		"when a successor has exited": {
			func(h *host) { h.engine.Exit("shop-api.next", 3) },
			"container shop-api.next exited with code 3 after it was healthy",
		},
		"when a successor is gone": {
			func(h *host) { _ = h.engine.Remove(context.Background(), "shop-api.next") },
			"container shop-api.next is gone",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			require.Nil(t, h.run(api(1)))
			require.Nil(t, h.cutOver(1))
			require.Nil(t, h.run(api(2)))
			test.spoil(h)
			refused := h.cutOver(2)
			require.NotNil(t, refused)
			require.Equal(t, fault.Unhealthy, refused.Kind)
			require.Equal(t, test.want, refused.Message)
			require.Contains(t, h.names(t), "shop-api:1:running")
		})
	}
}

func TestACutOverTouchesNoForeignContainer(t *testing.T) {
	h := newHost(t)
	_, err := h.engine.Run(t.Context(), runtime.ContainerSpec{Name: "shop-api", Image: image})
	require.NoError(t, err)
	require.Nil(t, h.run(api(1)))
	require.Equal(t, fault.Conflict, h.cutOver(1).Kind)
	require.Contains(t, h.names(t), "shop-api::running")
}

// By the boots the deploy knows whether a container has ended by itself. Run again it is
// the same container.
func TestARefusedCutOverNamesTheBootAndTheContainerRunsAgain(t *testing.T) {
	h := newHost(t)
	h.Machine.Boot = "first"
	ran := runContainer(t, h)
	require.Equal(t, "first", ran.Boot)
	h.engine.Exit("shop-api.next", 0)
	h.restartWorker()
	h.Machine.Boot = "second"
	value, err := h.env.ExecuteActivity(h.CutOver, onnode.CutOverInput{Service: "shop", Deployment: 1, Replace: fleet.Refs("shop-api")})
	require.NoError(t, err)
	var refused onnode.CutOverResult
	require.NoError(t, value.Get(&refused))
	require.Equal(t, "second", refused.Boot)
	require.Equal(t, "api", refused.Refused.Component)
	again := runContainer(t, h)
	require.Equal(t, onnode.RunContainerResult{ID: ran.ID, Boot: "second", Address: "10.0.0.7"}, again)
	require.Nil(t, h.cutOver(1))
}

func runContainer(t *testing.T, h *host) (ran onnode.RunContainerResult) {
	t.Helper()
	value, err := h.env.ExecuteActivity(h.RunContainer, onnode.RunContainerInput{Component: api(1)})
	require.NoError(t, err)
	require.NoError(t, value.Get(&ran))
	return ran
}
