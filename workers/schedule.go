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

// catchUp is how late a scheduled run may start after an outage of Temporal: of
// the many that were missed, one suffices.
const catchUp = time.Minute

// schedule creates or updates a schedule. Its runs do not overlap.
func schedule(ctx context.Context, c client.Client, o client.ScheduleOptions, doing string, args ...any) error {
	policies := client.SchedulePolicies{Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchUp}
	o.Overlap, o.CatchupWindow = policies.Overlap, policies.CatchupWindow
	_, err := c.ScheduleClient().Create(ctx, o)
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		err = c.ScheduleClient().GetHandle(ctx, o.ID).Update(ctx, client.ScheduleUpdateOptions{
			DoUpdate: func(current client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				updated := current.Description.Schedule // keeps an operator's pause
				updated.Spec, updated.Action, updated.Policy = &o.Spec, o.Action, &policies
				return &client.ScheduleUpdate{Schedule: &updated}, nil
			},
		})
	}
	return scheduleFault(err, doing, args...)
}

// scheduleFault wraps an error of a schedule; it returns nil for nil.
func scheduleFault(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	kind := fault.Internal // for example, schedules are disabled: a retry would not help
	if errors.As(err, new(*serviceerror.Unavailable)) || errors.As(err, new(*serviceerror.DeadlineExceeded)) {
		kind = fault.Unavailable
	}
	return fault.Wrap(kind, err, doing, args...)
}

// ScheduleMonitor schedules the observation of all nodes, once in each interval.
// The observations of a large fleet are spread over most of it.
func ScheduleMonitor(ctx context.Context, c client.Client, interval time.Duration) error {
	return schedule(ctx, c, client.ScheduleOptions{
		ID:   workflows.MonitorID,
		Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: interval}}},
		Action: &client.ScheduleWorkflowAction{
			ID:                       workflows.MonitorID,
			Workflow:                 workflows.MonitorName,
			Args:                     []any{workflows.MonitorInput{Over: interval * 4 / 5}},
			TaskQueue:                activities.QueueControl,
			WorkflowExecutionTimeout: workflows.MonitorTimeout,
			StaticSummary:            "observe the nodes",
		},
	}, "schedule the observation of nodes")
}

// thinEvery is how often history is thinned, and thinAt how long after the full
// hour: complete hours are thinned.
const thinEvery, thinAt = time.Hour, 5 * time.Minute

// scheduleRetention schedules the thinning of history.
func scheduleRetention(ctx context.Context, c client.Client) error {
	return schedule(ctx, c, client.ScheduleOptions{
		ID:   workflows.RetentionID,
		Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: thinEvery, Offset: thinAt}}},
		Action: &client.ScheduleWorkflowAction{
			ID:                       workflows.RetentionID,
			Workflow:                 workflows.RetentionName,
			TaskQueue:                activities.QueueControl,
			WorkflowExecutionTimeout: thinEvery,
			StaticSummary:            "thin the history of nodes and events",
		},
	}, "schedule the thinning of history")
}
