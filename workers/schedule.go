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

// catchUp is how late what is scheduled may begin after Temporal was away: of
// an outage's many, one is enough.
const catchUp = time.Minute

// schedule makes a schedule, or brings it up to date. Of what it starts, one
// runs at a time.
func schedule(ctx context.Context, c client.Client, o client.ScheduleOptions, doing string, args ...any) error {
	policies := client.SchedulePolicies{Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchUp}
	o.Overlap, o.CatchupWindow = policies.Overlap, policies.CatchupWindow
	_, err := c.ScheduleClient().Create(ctx, o)
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		err = c.ScheduleClient().GetHandle(ctx, o.ID).Update(ctx, client.ScheduleUpdateOptions{
			DoUpdate: func(known client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				updated := known.Description.Schedule // a pause that somebody asked for stays
				updated.Spec, updated.Action, updated.Policy = &o.Spec, o.Action, &policies
				return &client.ScheduleUpdate{Schedule: &updated}, nil
			},
		})
	}
	return scheduleFault(err, doing, args...)
}

// scheduleFault says what a schedule's error was met in; nil is none.
func scheduleFault(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	kind := fault.Internal // as where Temporal does not allow schedules: no use in waiting
	if errors.As(err, new(*serviceerror.Unavailable)) || errors.As(err, new(*serviceerror.DeadlineExceeded)) {
		kind = fault.Unavailable
	}
	return fault.Wrap(kind, err, doing, args...)
}

// ScheduleMonitor has the nodes looked at from now on, once in each interval. A
// large fleet's looks are spread over most of it.
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
	}, "schedule the looks at nodes")
}

// thinEvery is how often history is thinned, and thinAt how long after the full
// hour: an hour is kept whole or not at all.
const thinEvery, thinAt = time.Hour, 5 * time.Minute

// scheduleRetention has history thinned from now on.
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
