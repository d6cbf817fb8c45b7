package follow

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// Run follows a workflow to its end and decodes the result, which a failed one has
// too. A deploy that has succeeded, and only retires the containers before it, is at
// its end unless ToEnd is set. An error means that there is no result. When ctx ends,
// Run detaches: the workflow goes on.
func (f Follower) Run(ctx context.Context, run client.WorkflowRun, result any) error {
	ended := make(chan struct{})
	var err error
	getting, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer close(ended)
		err = run.Get(getting, result)
	}()
	released, watchErr := f.watch(ctx, run, ended)
	if watchErr != nil {
		return watchErr
	}
	if deployed, ok := result.(*workflows.Result); ok && released != nil && !f.ToEnd {
		stop()
		<-ended
		if err != nil { // it goes on
			*deployed = *released
		}
		return nil
	}
	<-ended
	if err != nil && !errors.As(err, new(*temporal.WorkflowExecutionError)) {
		err = run.Get(ctx, result) // Temporal did not answer the first call
	}
	switch {
	case err == nil || workflows.ResultOf(err, result) || f.terminated(err, run, result):
		return nil
	case ctx.Err() != nil:
		return f.detach(run, released)
	}
	return workflows.FaultOf(err)
}

// terminated fills in the result of a terminated workflow, which returns none. It
// reports whether the workflow was terminated.
func (f Follower) terminated(err error, run client.WorkflowRun, result any) bool {
	if !errors.As(err, new(*temporal.TerminatedError)) {
		return false
	}
	word, service := f.subject(run)
	cause := fault.New(fault.Conflict, "the %s of %s was terminated in Temporal", word, service)
	switch r := result.(type) {
	case *workflows.Result:
		cause.Message += "; nothing has been put back"
		*r = workflows.Result{
			Service: service, WorkflowID: run.GetID(), RunID: run.GetRunID(),
			Outcome: workflows.Failed, Dirty: true, Components: []workflows.ComponentResult{},
			Error: cause.WithHint("mcp deploy %s repairs it", service),
		}
	case *workflows.BuildResult:
		*r = workflows.BuildResult{
			Service: service, WorkflowID: run.GetID(), RunID: run.GetRunID(),
			Outcome: workflows.Failed, Images: []workflows.ImageResult{}, Error: cause,
		}
	}
	return true
}

// watch shows a workflow until it ends: ended is closed then. When ctx ends it
// detaches. Released is the result of a deploy that has succeeded and may go on.
func (f Follower) watch(ctx context.Context, run client.WorkflowRun, ended <-chan struct{}) (released *workflows.Result, err error) {
	view := newTimeline(f.Console.Stderr)
	view.live, view.toEnd = f.Console.Screen != nil, f.ToEnd
	defer f.Console.Live(view.lines)()
	polls, stop := context.WithCancel(ctx)
	polled := make(chan struct{})
	go func() {
		defer close(polled)
		f.pollPending(polls, run, view)
	}()
	err = f.tail(ctx, run, view, ended)
	stop()
	<-polled
	if view.released != nil {
		released = view.released.Result
	}
	if ctx.Err() != nil && (released == nil || f.ToEnd) {
		return nil, f.detach(run, released)
	}
	return released, err
}

// enough reports whether the rest of a workflow need not be followed: a deploy has
// succeeded, and has no use for the builder that this process is.
func (f Follower) enough(view *timeline) bool {
	r := view.released
	return r != nil && !f.ToEnd && (!f.Builds || !r.Prunes || view.pruned)
}

// pruneTimeout is how long a command whose deploy has succeeded stays to remove images
// as its builder: as long as the step waits for one.
const pruneTimeout = 5 * time.Second

// tail feeds each event of the history to the view, once. It needs no worker and
// adds no event. While Temporal does not answer it waits, and then goes on from the
// same event.
func (f Follower) tail(ctx context.Context, run client.WorkflowRun, view *timeline, ended <-chan struct{}) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	seen, away, gather := int64(0), false, f.pace().gather
	for asked := time.Now(); ; {
		events := f.Client.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), true, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		var err error
		for events.HasNext() {
			event, nextErr := events.Next()
			if nextErr != nil {
				err = nextErr
				break
			}
			away = false
			if seen == 0 { // the first answer waits for nothing: its time is that of the link, which gathers too
				gather = max(0, gather-time.Since(asked))
			}
			if event.GetEventId() > seen {
				seen = event.GetEventId()
				before := view.released
				view.event(event)
				if f.enough(view) {
					return nil
				}
				if before == nil && view.released != nil && !f.ToEnd {
					defer time.AfterFunc(pruneTimeout, stop).Stop()
				}
			}
			if event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED && time.Since(event.GetEventTime().AsTime()) < gather {
				select {
				case <-ended:
				case <-time.After(gather):
				}
			}
		}
		if err == nil || view.released != nil && !f.ToEnd {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		if exit.KindOf(err) != fault.Unavailable {
			return exit.Temporal(err)
		}
		if !away {
			away = true
			view.note("Temporal does not answer; waiting for it")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// pollPending polls what the history does not have: heartbeats, retries, and
// activities that no worker has taken.
func (f Follower) pollPending(ctx context.Context, run client.WorkflowRun, view *timeline) {
	ticker := time.NewTicker(f.pace().pending)
	defer ticker.Stop()
	var control controlWatch
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		before := view.underWay()
		described, err := f.Client.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
		if err != nil {
			continue // tail reports that Temporal does not answer
		}
		view.settle(before, described.GetPendingActivities())
		for _, pending := range described.GetPendingActivities() {
			view.update(pending)
		}
		if _, news := control.observe(described); news {
			view.note(waitingForControl)
		}
	}
}

// pace is how closely a workflow is followed.
type pace struct {
	// gather is how long tail waits after an event that others follow within
	// milliseconds, to fetch them in one call.
	gather time.Duration
	// pending is the interval between two polls of the steps that have not ended.
	pending time.Duration
}

// pace is slower if a command follows several deploys: no operator reads each line as
// it is printed, and the deploys share the processors.
func (f Follower) pace() pace {
	if f.Console.Prefix != "" {
		return pace{250 * time.Millisecond, 3 * time.Second}
	}
	return pace{50 * time.Millisecond, time.Second}
}
