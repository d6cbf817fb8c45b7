package workers

import (
	"context"
	"errors"
	"slices"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/fault"
)

// Stuck is what Temporal has that never goes on without an encryption key, because it is
// encrypted with it.
type Stuck struct {
	// Schedules are ids of schedules, which control workers make again.
	Schedules []string
	// Runs are workflows under way.
	Runs []*common.WorkflowExecution
}

// mostStuck bounds the workflows that FindStuck reads.
const mostStuck = 10_000

// FindStuck searches for what is encrypted with a key in a namespace of Temporal. The client
// decrypts nothing.
func FindStuck(ctx context.Context, c client.Client, namespace, key string) (stuck Stuck, err error) {
	schedules, err := c.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 1000})
	if err != nil {
		return stuck, stuckFault(err, "list the schedules")
	}
	for schedules.HasNext() {
		entry, err := schedules.Next()
		if err != nil {
			return stuck, stuckFault(err, "list the schedules")
		}
		described, err := c.WorkflowService().DescribeSchedule(ctx, &workflowservice.DescribeScheduleRequest{Namespace: namespace, ScheduleId: entry.ID})
		if isGone(err) {
			continue
		}
		if err != nil {
			return stuck, stuckFault(err, "look at the schedule "+entry.ID)
		}
		if found, err := has(ctx, described, key); err != nil {
			return stuck, err
		} else if found {
			stuck.Schedules = append(stuck.Schedules, entry.ID)
		}
	}
	stuck.Runs, err = stuckRuns(ctx, c, key)
	return stuck, err
}

// stuckRuns are the workflows under way that have a part of their history encrypted with a
// key.
func stuckRuns(ctx context.Context, c client.Client, key string) (runs []*common.WorkflowExecution, err error) {
	request := &workflowservice.ListWorkflowExecutionsRequest{Query: "ExecutionStatus = 'Running'", PageSize: 1000}
	for read := 0; ; {
		page, err := c.ListWorkflow(ctx, request)
		if err != nil {
			return nil, stuckFault(err, "list what is under way")
		}
		for _, info := range page.GetExecutions() {
			if read++; read > mostStuck {
				return nil, fault.New(fault.Invalid, "more than %d workflows are under way", mostStuck).
					WithHint("begin with another namespace of Temporal")
			}
			found, err := needs(ctx, c, info.GetExecution(), key)
			if err != nil {
				return nil, err
			}
			if found {
				runs = append(runs, info.GetExecution())
			}
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return runs, nil
		}
	}
}

// needs reports whether a part of a run's history is encrypted with a key.
func needs(ctx context.Context, c client.Client, run *common.WorkflowExecution, key string) (bool, error) {
	events := c.GetWorkflowHistory(ctx, run.GetWorkflowId(), run.GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		switch {
		case isGone(err): // it has ended, and is forgotten
			return false, nil
		case err != nil:
			return false, stuckFault(err, "look at "+run.GetWorkflowId())
		}
		if found, err := has(ctx, event, key); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// End deletes the schedules, and terminates the workflows. What has ended meanwhile is as
// good.
func (s Stuck) End(ctx context.Context, c client.Client, namespace, key string) error {
	for _, id := range s.Schedules {
		if err := c.ScheduleClient().GetHandle(ctx, id).Delete(ctx); err != nil && !isGone(err) {
			return stuckFault(err, "delete the schedule "+id)
		}
	}
	for _, run := range s.Runs {
		_, err := c.WorkflowService().TerminateWorkflowExecution(ctx, &workflowservice.TerminateWorkflowExecutionRequest{
			Namespace: namespace, WorkflowExecution: run, Reason: "it is encrypted with key " + key + ", which is lost",
		})
		if err != nil && !isGone(err) {
			return stuckFault(err, "terminate "+run.GetWorkflowId())
		}
	}
	return nil
}

// has reports whether a part of a message is encrypted with a key.
func has(ctx context.Context, message proto.Message, key string) (bool, error) {
	keys, err := codec.KeysOf(ctx, message)
	return slices.Contains(keys, key), err
}

func isGone(err error) bool { return errors.As(err, new(*serviceerror.NotFound)) }

func stuckFault(err error, doing string) error {
	kind := fault.Internal
	if errors.As(err, new(*serviceerror.Unavailable)) || errors.As(err, new(*serviceerror.DeadlineExceeded)) {
		kind = fault.Unavailable
	}
	return fault.Wrap(kind, err, "%s", doing)
}
