package follow

import (
	"context"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// QuietTime is how long a short workflow may take before Wait prints what it waits
// for.
const QuietTime = 3 * time.Second

// WaitOptions change how Wait waits.
type WaitOptions struct {
	// Quiet is how long Wait prints nothing.
	Quiet time.Duration
	// ForControl reports whether Wait also waits for a control worker, up to the
	// workflow's own timeout. Otherwise the absence of one is an error.
	ForControl bool
}

// Wait waits for the result of a short workflow and decodes it. It shows no step
// that ends; after a while it prints what the workflow waits for.
func (f Follower) Wait(ctx context.Context, run client.WorkflowRun, o WaitOptions, result any) error {
	view := newTimeline(f.Console.Stderr)
	view.quiet = true
	watch, stop := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := f.watchQuietly(watch, run, o, view); err != nil {
			stop(err)
		}
	}()
	err := run.Get(watch, result)
	stop(nil)
	<-watched
	switch cause := context.Cause(watch); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return exit.Interrupted
	case exit.IsUnreachable(cause):
		return cause
	}
	f.catchUp(ctx, run, view, 0)
	return waitFault(workflows.FaultOf(err), view.failed)
}

// watchQuietly prints what a workflow waits for once that takes long. It fails when
// no control worker is there, unless that is waited for.
func (f Follower) watchQuietly(ctx context.Context, run client.WorkflowRun, o WaitOptions, view *timeline) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	started, seen := time.Now(), int64(0)
	var control controlWatch
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		described, err := f.Client.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
		if err != nil {
			continue // Wait reports it
		}
		gone, news := control.observe(described)
		if gone && !o.ForControl {
			return exit.Unreachable(fault.New(fault.Unavailable, "no control worker polls the queue %s", workflows.Queue).
				WithHint("start one: mcp worker --control"))
		}
		if news {
			view.note(waitingForControl)
		}
		if time.Since(started) < o.Quiet {
			continue
		}
		seen = f.catchUp(ctx, run, view, seen)
		for _, pending := range described.GetPendingActivities() {
			view.update(pending)
		}
	}
}

// catchUp feeds the view the events of the history after the event seen, and
// returns the last one.
func (f Follower) catchUp(ctx context.Context, run client.WorkflowRun, view *timeline, seen int64) int64 {
	events := f.Client.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			break // the events only explain
		}
		if event.GetEventId() > seen {
			seen = event.GetEventId()
			view.event(event)
		}
	}
	return seen
}

// waitFault adds to the fault of a workflow which step it waited for. If that is a
// step of the control plane, which includes Postgres, the error says that it is
// unreachable.
func waitFault(f *fault.Error, failed *step) error {
	if f.Kind != fault.Unavailable || failed == nil {
		return f
	}
	if strings.HasSuffix(f.Message, "ToClose timeout") { // Temporal's whole message
		last := fault.New(fault.Unavailable, "%s: no answer in time", failed.summary)
		if failed.failure != nil {
			last = failed.failure
		}
		f = last
	}
	if failed.queue == workflows.Queue && failed.activity != "ImageExists" {
		return exit.Unreachable(f)
	}
	return f
}
