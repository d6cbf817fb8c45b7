package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// outcome follows a workflow to its end and decodes the result that it has
// either way. An error means that there is none.
func (a *App) outcome(ctx context.Context, c client.Client, run client.WorkflowRun, result any) error {
	ended := make(chan struct{})
	var err error
	go func() {
		defer close(ended)
		err = run.Get(ctx, result)
	}()
	if err := a.follow(ctx, c, run, ended); err != nil {
		return err
	}
	<-ended
	if err != nil && !errors.As(err, new(*temporal.WorkflowExecutionError)) {
		err = run.Get(ctx, result) // Temporal was away when it was asked
	}
	switch {
	case err == nil || workflows.ResultOf(err, result) || terminated(err, run, result):
		return nil
	case ctx.Err() != nil:
		return a.detached(run)
	}
	return workflows.FaultOf(err)
}

// terminated gives a workflow that somebody terminated the result that it
// could not give itself; false if that is not how it ended.
func terminated(err error, run client.WorkflowRun, result any) bool {
	if !errors.As(err, new(*temporal.TerminatedError)) {
		return false
	}
	verb, service, _ := strings.Cut(run.GetID(), "/")
	f := fault.New(fault.Conflict, "the %s of %s was terminated in Temporal", verb, service)
	switch r := result.(type) {
	case *workflows.Result:
		f.Message += "; nothing has been put back"
		*r = workflows.Result{
			Service: service, WorkflowID: run.GetID(), RunID: run.GetRunID(),
			Outcome: workflows.Failed, Dirty: true, Components: []workflows.ComponentResult{},
			Error: f.WithHint("mcp deploy %s puts it right", service),
		}
	case *workflows.BuildResult:
		*r = workflows.BuildResult{
			Service: service, WorkflowID: run.GetID(), RunID: run.GetRunID(),
			Outcome: workflows.Failed, Images: []workflows.ImageResult{}, Error: f,
		}
	}
	return true
}

// follow tails a workflow's history until it ends. A tail needs no worker and
// adds no event. Temporal may go away meanwhile: the tail goes on where it
// was. When ctx ends it detaches. Ended is closed when the workflow has ended.
func (a *App) follow(ctx context.Context, c client.Client, run client.WorkflowRun, ended <-chan struct{}) error {
	view := newTimeline(a.Stderr, a.converter())
	view.live = a.screen != nil
	defer a.screen.open(func() []string { return a.prefixed(view.lines()) })()
	polls, stop := context.WithCancel(ctx)
	polled := make(chan struct{})
	go func() {
		defer close(polled)
		a.pollPending(polls, c, run, view)
	}()
	err := a.tail(ctx, c, run, view, ended)
	stop()
	<-polled
	if ctx.Err() != nil {
		return a.detached(run)
	}
	return err
}

// prefixed are lines as this app tells them.
func (a *App) prefixed(lines []string) []string {
	for i := range lines {
		lines[i] = a.prefix + lines[i]
	}
	return lines
}

// detached says how to come back to a workflow that goes on, and what it
// misses meanwhile.
func (a *App) detached(run client.WorkflowRun) error {
	verb, service, _ := strings.Cut(run.GetID(), "/")
	a.say("detached: the %s of %s goes on in Temporal; the same command attaches again", verb, service)
	if run.GetID() == workflows.DeployID(service) {
		a.say("mcp cancel %s stops it, and puts back what ran before", service)
	}
	if a.building {
		a.say("this command was its builder: a build waits until it runs again")
	}
	if a.json {
		a.printJSON(detachedResult{service, run.GetID(), run.GetRunID(), running})
	}
	return exitError(exitInterrupted)
}

// pace is how closely a workflow is followed.
type pace struct {
	// gather is how long the tail waits, after an event that has others follow it
	// within milliseconds, to fetch them in one call instead of one by one.
	gather time.Duration
	// pending is how often the steps that have not ended are asked for.
	pending time.Duration
}

// pace is slower where several deploys go on at once: nobody reads each line as it
// comes, and all wait for the same processors.
func (a *App) pace() pace {
	if a.prefix != "" {
		return pace{250 * time.Millisecond, 3 * time.Second}
	}
	return pace{50 * time.Millisecond, time.Second}
}

// tail feeds each event of the history to the view, once.
func (a *App) tail(ctx context.Context, c client.Client, run client.WorkflowRun, view *timeline, ended <-chan struct{}) error {
	seen, away, gather := int64(0), false, a.pace().gather
	for {
		events := c.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), true, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		var err error
		for events.HasNext() {
			event, nextErr := events.Next()
			if nextErr != nil {
				err = nextErr
				break
			}
			away = false
			if event.GetEventId() > seen {
				seen = event.GetEventId()
				view.event(event)
			}
			if event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED && time.Since(event.GetEventTime().AsTime()) < gather {
				select {
				case <-ended:
				case <-time.After(gather):
				}
			}
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		if kindOf(err) != fault.Unavailable {
			return temporalFault(err)
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

// pollPending reads now and then what the history does not tell: heartbeats,
// retries, and activities that nobody has taken.
func (a *App) pollPending(ctx context.Context, c client.Client, run client.WorkflowRun, view *timeline) {
	ticker := time.NewTicker(a.pace().pending)
	defer ticker.Stop()
	var control controlWatch
	told := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		described, err := c.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
		if err != nil {
			continue // the tail says that Temporal is away
		}
		for _, pending := range described.GetPendingActivities() {
			view.heard(pending)
		}
		gone := control.gone(described)
		if gone && !told {
			view.note(waitingForControl)
		}
		told = gone
	}
}
