package workers

import (
	"context"
	"errors"
	"hash/fnv"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/workflows"
)

// oldest is when a look that nobody has taken yet is given up.
const oldest = 2 * time.Minute

// monitor has each node looked at, by a schedule in Temporal.
type monitor struct {
	client   client.Client
	interval time.Duration
}

// Watch makes the node's schedule, or brings it up to date.
func (m monitor) Watch(ctx context.Context, node string) error {
	return schedule(ctx, m.client, client.ScheduleOptions{
		ID: workflows.MonitorID(node), Spec: m.spec(node), Action: m.action(node), TriggerImmediately: true,
	}, "schedule looks at node %s", node)
}

// Unwatch deletes the node's schedule, if there is one.
func (m monitor) Unwatch(ctx context.Context, node string) error {
	err := m.client.ScheduleClient().GetHandle(ctx, workflows.MonitorID(node)).Delete(ctx)
	if errors.As(err, new(*serviceerror.NotFound)) {
		return nil
	}
	return scheduleFault(err, "end the looks at node %s", node)
}

// spec spreads the nodes over the interval, each by its name: all at the same
// moment would wait for one another.
func (m monitor) spec(node string) client.ScheduleSpec {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(node)) // it never fails
	offset := time.Duration(hash.Sum64() % uint64(max(m.interval, 1)))
	return client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: m.interval, Offset: offset.Truncate(time.Second)}}}
}

func (m monitor) action(node string) *client.ScheduleWorkflowAction {
	return &client.ScheduleWorkflowAction{
		ID:                       workflows.MonitorID(node),
		Workflow:                 workflows.MonitorNodeName,
		Args:                     []any{node},
		TaskQueue:                activities.QueueControl,
		WorkflowExecutionTimeout: oldest,
		StaticSummary:            "look at " + node,
		TypedSearchAttributes:    temporal.NewSearchAttributes(workflows.SearchNode.ValueSet([]string{node})),
	}
}
