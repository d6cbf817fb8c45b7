package onnode_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// machine reports the directories that it was asked about.
type machine struct{}

func (machine) Status(_ context.Context, storage string, volumes []string) (fleet.NodeStatus, error) {
	status := fleet.NodeStatus{Hostname: "host of " + storage}
	for _, path := range volumes {
		status.Disks = append(status.Disks, fleet.Disk{Path: path})
	}
	return status, nil
}

func TestAnObservationHasEveryContainer(t *testing.T) {
	h := newHost(t)
	h.Host, h.Version = machine{}, "v1"
	for _, spec := range []runtime.ContainerSpec{
		{Name: "foreign", Image: image, Command: []string{"/app", "exit", "3"}, Volumes: []string{"/srv/data:/data"}},
		{Name: "shop-api", Image: image, Labels: map[string]string{
			runtime.LabelService: "shop", runtime.LabelComponent: "api", runtime.LabelDeployment: "7", runtime.LabelSpec: "spec",
		}},
	} {
		_, err := h.engine.Run(t.Context(), spec)
		require.NoError(t, err)
	}
	value, err := h.env.ExecuteActivity(h.ObserveNode)
	require.NoError(t, err)
	var found onnode.ObserveNodeResult
	require.NoError(t, value.Get(&found))
	require.Equal(t, fleet.NodeStatus{
		Hostname: "host of /", Storage: "/", Network: "netavark", Cgroups: "v2",
		NodeFigures: fleet.NodeFigures{
			Runtime: "fake 1.0", MCP: "v1", Containers: 2, Running: 1, Disks: []fleet.Disk{{Path: "/srv/data"}},
		},
	}, found.Status)
	require.Len(t, found.Containers, 2)
	foreign, api := found.Containers[0], found.Containers[1]
	require.Equal(t, []any{"foreign", "", "stopped", 3}, []any{foreign.Name, foreign.Service, foreign.State, foreign.ExitCode})
	require.NotEmpty(t, api.ID)
	require.False(t, api.Started.IsZero())
	require.Equal(t, fleet.Container{
		Name: "shop-api", Service: "shop", Component: "api", Deployment: 7, Spec: "spec", Running: true,
		ID: api.ID, Image: image, Digest: api.Digest, State: "running", Started: api.Started,
	}, api)

	h.engine.SetDown(true)
	_, err = h.env.ExecuteActivity(h.ObserveNode)
	require.Equal(t, fault.Unavailable, attempt.FaultOf(err).Kind)
}
