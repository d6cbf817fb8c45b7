package workers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// crowded returns an engine with a thousand containers with names of maximal
// length. Podman would take many minutes to create them.
func crowded(t *testing.T) *runtime.Fake {
	t.Helper()
	engine := runtime.NewFake()
	image := "registry.example:5000/" + strings.Repeat("team/", 20) + "shop@sha256:" + strings.Repeat("0123456789abcdef", 4)
	engine.AddImages(image)
	long := strings.Repeat("n", 50)
	for i := range 1000 {
		spec := runtime.ContainerSpec{Name: fmt.Sprintf("%s-%s-%03d", long, long, i), Image: image}
		if i%2 == 0 { // the others are foreign containers
			spec.Labels = map[string]string{
				runtime.LabelService: long, runtime.LabelComponent: fmt.Sprintf("%s-%03d", long, i),
				runtime.LabelDeployment: "1000", runtime.LabelSpec: strings.Repeat("0123456789abcdef", 4),
			}
		}
		_, err := engine.Run(t.Context(), spec)
		require.NoError(t, err)
	}
	return engine
}

// idle is a host with an empty status.
type idle struct{}

func (idle) Status(context.Context, string, []string) (fleet.NodeStatus, error) {
	return fleet.NodeStatus{}, nil
}

// TestAThousandContainersAreObserved sends an observation the whole way to
// Postgres, through Temporal, whose payloads are limited to 2 MB.
func TestAThousandContainersAreObserved(t *testing.T) {
	p := newPlatform(t)
	s := p.start(t)
	t.Cleanup(func() { s.workers.Stop(); s.listener.Close(); s.client.Close() })
	w := worker.New(s.client, activities.QueueNode("orion"), worker.Options{DisableWorkflowWorker: true})
	w.RegisterActivity(&onnode.Node{Name: "orion", Runtime: crowded(t), Host: idle{}})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	run := func(workflow string, in, out any) client.WorkflowRun {
		run, err := s.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: workflows.Queue}, workflow, in)
		require.NoError(t, err)
		require.NoError(t, run.Get(t.Context(), out))
		return run
	}
	run(tend.RegisterNodeName, fleet.NodeRecord{Name: "orion"}, nil)
	observation := run(tend.MonitorNodeName, "orion", nil)

	var states []fleet.NodeState
	run(reads.NodeStatesName, nil, &states)
	i := slices.IndexFunc(states, func(n fleet.NodeState) bool { return n.Name == "orion" })
	require.Equal(t, fleet.NodeReady, states[i].State)
	require.Equal(t, 1000, states[i].Status.Containers)
	require.Len(t, states[i].Drift, 500, "orphans, because no release names them")

	largest := 0
	events := s.client.GetWorkflowHistory(t.Context(), observation.GetID(), observation.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		largest = max(largest, proto.Size(event))
	}
	t.Logf("the largest event of the observation has %d kB", largest/1000)
	require.Greater(t, largest, 5_000)
	require.Less(t, largest, 200_000)
}
