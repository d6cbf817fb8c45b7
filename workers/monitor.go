package workers

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

const (
	// catchUp is how late a look may begin after Temporal was away: of an
	// outage's many, one is enough.
	catchUp = time.Minute
	// oldest is when a look that nobody has taken yet is given up.
	oldest = 2 * time.Minute
)

// monitor has each node looked at, by a schedule in Temporal.
type monitor struct {
	client   client.Client
	interval time.Duration
}

// Watch makes the node's schedule, or brings it up to date.
func (m monitor) Watch(ctx context.Context, node string) error {
	schedules := m.client.ScheduleClient()
	action, spec := m.action(node), m.spec()
	policies := client.SchedulePolicies{Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchUp}
	_, err := schedules.Create(ctx, client.ScheduleOptions{
		ID: workflows.MonitorID(node), Spec: spec, Action: action,
		Overlap: policies.Overlap, CatchupWindow: policies.CatchupWindow, TriggerImmediately: true,
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		err = schedules.GetHandle(ctx, workflows.MonitorID(node)).Update(ctx, client.ScheduleUpdateOptions{
			DoUpdate: func(known client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				schedule := known.Description.Schedule // a pause that somebody asked for stays
				schedule.Spec, schedule.Action, schedule.Policy = &spec, action, &policies
				return &client.ScheduleUpdate{Schedule: &schedule}, nil
			},
		})
	}
	return scheduleFault(err, "schedule looks at node %s", node)
}

// Unwatch deletes the node's schedule, if there is one.
func (m monitor) Unwatch(ctx context.Context, node string) error {
	err := m.client.ScheduleClient().GetHandle(ctx, workflows.MonitorID(node)).Delete(ctx)
	if errors.As(err, new(*serviceerror.NotFound)) {
		return nil
	}
	return scheduleFault(err, "end the looks at node %s", node)
}

// scheduleFault says what a schedule's error was met in; nil is none.
func scheduleFault(err error, doing, node string) error {
	if err == nil {
		return nil
	}
	kind := fault.Internal // as where Temporal does not allow schedules: no use in waiting
	if errors.As(err, new(*serviceerror.Unavailable)) || errors.As(err, new(*serviceerror.DeadlineExceeded)) {
		kind = fault.Unavailable
	}
	return fault.Wrap(kind, err, doing, node)
}

func (m monitor) spec() client.ScheduleSpec {
	return client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: m.interval}}}
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
