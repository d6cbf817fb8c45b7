package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
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
	restore := activities.RestoreInput{Service: "shop", Deployment: 1, Recovery: plan.Recovery{Start: fleet.Refs("shop-api", "shop-web")}}
	f := h.do(h.Restore, restore)
	require.NotNil(t, f)
	require.Equal(t, fault.PortInUse, f.Kind)
	require.Contains(t, f.Message, "host port 20000 is in use")
	require.Equal(t, []string{"shop-api::stopped", "shop-web::running"}, h.names(t))
}
