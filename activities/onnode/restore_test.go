package onnode_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

func TestAContainerThatCannotStartDoesNotKeepOthersFromStarting(t *testing.T) {
	h := newHost(t)
	for name, port := range map[string]int{"shop-api": 20000, "shop-web": 20001} {
		_, err := h.engine.Run(t.Context(), runtime.ContainerSpec{
			Name: name, Image: image, Labels: map[string]string{runtime.LabelService: "shop"},
			Ports: []servicedef.Port{{Host: port, Container: 80, Protocol: "tcp"}},
		})
		require.NoError(t, err)
		require.NoError(t, h.engine.Stop(t.Context(), name, 0))
	}
	h.engine.TakePort(20000)
	restore := onnode.RestoreInput{Service: "shop", Deployment: 1, Recovery: plan.Recovery{Start: fleet.Refs("shop-api", "shop-web")}}
	f := h.do(h.Restore, restore)
	require.NotNil(t, f)
	require.Equal(t, fault.PortInUse, f.Kind)
	require.Contains(t, f.Message, "host port 20000 is in use")
	require.Equal(t, []string{"shop-api::stopped", "shop-web::running"}, h.names(t))
}

func TestRestoreWaitsUntilWhatItStartedServes(t *testing.T) {
	released := api(7, func(c *activities.ComponentSpec) {
		c.Routes = []activities.RouteSpec{{Name: "main", HostPort: 20000, ContainerPort: 80}}
	})
	restored := func(t *testing.T, answer func(n int) error) *host {
		h := newHost(t)
		require.Nil(t, h.run(released))
		require.Nil(t, h.cutOver(7))
		require.NoError(t, h.engine.Stop(t.Context(), "shop-api", 0))
		h.probe.asked, h.probe.answer = nil, answer
		released := released
		released.Definition.Health.MinHealthy = dur(time.Hour) // it has been healthy for that before
		require.Nil(t, h.do(h.Restore, onnode.RestoreInput{
			Service: "shop", Deployment: 8, Closing: true, Serving: []activities.ComponentSpec{released},
			Recovery: plan.Recovery{Start: fleet.Refs("shop-api")},
		}))
		return h
	}
	t.Run("until it answers", func(t *testing.T) {
		h := restored(t, func(n int) error {
			if n < 4 {
				return errors.New("connection refused")
			}
			return nil
		})
		require.Equal(t, slices.Repeat([]string{"10.0.0.7:20000→80"}, 4), h.probe.asked)
	})
	t.Run("and no longer than its health check allows, which fails no undo", func(t *testing.T) {
		h := restored(t, func(int) error { return errors.New("connection refused") })
		require.Equal(t, []string{"shop-api:7:running"}, h.names(t))
	})
}
