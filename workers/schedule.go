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
	"github.com/metacircular/mcp/workflows/tend"
)

// catchUp is how late a scheduled run may start after an outage of Temporal: of
// the many that were missed, one suffices.
const catchUp = time.Minute

// scheduled is a schedule that control workers keep. Its runs do not overlap.
type scheduled struct {
	options client.ScheduleOptions
	doing   string // for errors
}

// schedules are those of a control worker.
func (r *Control) schedules() []scheduled {
	return []scheduled{monitoring(r.MonitorInterval), retention()}
}

// policies are those of every schedule.
var policies = client.SchedulePolicies{Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchUp}

// make creates the schedule, or updates it to what this mcp needs.
func (s scheduled) make(ctx context.Context, c client.Client) error {
	err := s.create(ctx, c)
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		err = c.ScheduleClient().GetHandle(ctx, s.options.ID).Update(ctx, client.ScheduleUpdateOptions{
			DoUpdate: func(current client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				updated := current.Description.Schedule // keeps an operator's pause
				updated.Spec, updated.Action, updated.Policy = &s.options.Spec, s.options.Action, &policies
				return &client.ScheduleUpdate{Schedule: &updated}, nil
			},
		})
	}
	return scheduleFault(err, "%s", s.doing)
}

// create creates the schedule. One that is there is an error.
func (s scheduled) create(ctx context.Context, c client.Client) error {
	o := s.options
	o.Overlap, o.CatchupWindow = policies.Overlap, policies.CatchupWindow
	_, err := c.ScheduleClient().Create(ctx, o)
	return err
}

// exists fails if Temporal does not have the schedule; the error is NotFound then.
func (s scheduled) exists(ctx context.Context, c client.Client) error {
	_, err := c.ScheduleClient().GetHandle(ctx, s.options.ID).Describe(ctx)
	if errors.As(err, new(*serviceerror.NotFound)) {
		return fault.New(fault.NotFound, "Temporal has no schedule %s", s.options.ID)
	}
	return scheduleFault(err, "look for the schedule %s", s.options.ID)
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
func ScheduleMonitor(ctx context.Context, c client.Client, interval time.Duration) error {
	return monitoring(interval).make(ctx, c)
}

// monitoring observes all nodes, once in each interval. The observations of a large
// fleet are spread over most of it.
func monitoring(interval time.Duration) scheduled {
	return scheduled{doing: "schedule the observation of nodes", options: client.ScheduleOptions{
		ID:   tend.MonitorID,
		Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: interval}}},
		Action: &client.ScheduleWorkflowAction{
			ID:                       tend.MonitorID,
			Workflow:                 tend.MonitorName,
			Args:                     []any{tend.MonitorInput{Over: interval * 4 / 5}},
			TaskQueue:                activities.QueueControl,
			WorkflowExecutionTimeout: tend.MonitorTimeout,
			StaticSummary:            "observe the nodes",
		},
	}}
}

// thinEvery is how often history is thinned, and thinAt how long after the full
// hour: complete hours are thinned.
const thinEvery, thinAt = time.Hour, 5 * time.Minute

// retention thins history.
func retention() scheduled {
	return scheduled{doing: "schedule the thinning of history", options: client.ScheduleOptions{
		ID:   tend.RetentionID,
		Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: thinEvery, Offset: thinAt}}},
		Action: &client.ScheduleWorkflowAction{
			ID:                       tend.RetentionID,
			Workflow:                 tend.RetentionName,
			TaskQueue:                activities.QueueControl,
			WorkflowExecutionTimeout: thinEvery,
			StaticSummary:            "thin the history of nodes and events",
		},
	}}
}
