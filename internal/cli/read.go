package cli

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// readPatience is how long a read may take without a word.
const readPatience = 3 * time.Second

// read runs a workflow that only reads, and decodes its result.
func (a *App) read(ctx context.Context, c client.Client, verb, workflow string, in, out any) error {
	return a.ask(ctx, c, client.StartWorkflowOptions{ID: workflows.ReadID(verb, nonce()), StaticSummary: "mcp " + verb}, workflow, in, out)
}

// ask runs a short workflow, which leaves nothing to undo, and decodes its
// result.
func (a *App) ask(ctx context.Context, c client.Client, o client.StartWorkflowOptions, workflow string, in, out any) error {
	o.WorkflowExecutionTimeout = time.Minute
	return a.askPatiently(ctx, c, patience{quiet: readPatience}, o, workflow, in, out)
}

// readLong runs a workflow that only reads, or has nothing to undo, and whose
// answer may take as long as wait. It says nothing meanwhile.
func (a *App) readLong(ctx context.Context, c client.Client, verb string, wait time.Duration, workflow string, in, out any) error {
	return a.readUntil(ctx, c, verb, wait+time.Minute, patience{quiet: wait + time.Minute}, workflow, in, out)
}

// readFirst is the read that a verb begins with which itself would wait for a
// control worker: it does so too, up to the verb's deadline.
func (a *App) readFirst(ctx context.Context, c client.Client, verb string, deadline time.Duration, workflow string, in, out any) error {
	return a.readUntil(ctx, c, verb, cmp.Or(deadline, workflows.DefaultDeadline), patience{quiet: readPatience, waits: true}, workflow, in, out)
}

// readUntil runs a workflow that only reads, until the limit. It cancels the
// workflow where nobody waits for it any more.
func (a *App) readUntil(ctx context.Context, c client.Client, verb string, limit time.Duration, p patience, workflow string, in, out any) error {
	o := client.StartWorkflowOptions{
		ID: workflows.ReadID(verb, nonce()), StaticSummary: "mcp " + verb, WorkflowExecutionTimeout: limit,
	}
	err := a.askPatiently(ctx, c, p, o, workflow, in, out)
	if ctx.Err() != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectPatience)
		defer cancel()
		_ = c.CancelWorkflow(last, o.ID, "") // it would end by itself
	}
	return err
}

// patience is how a question is waited for.
type patience struct {
	// quiet is how long it may take without a word.
	quiet time.Duration
	// waits is set where a control worker that is away is waited for.
	waits bool
}

// askPatiently is ask, which says what it waits for when that takes longer than
// its patience.
func (a *App) askPatiently(ctx context.Context, c client.Client, p patience, o client.StartWorkflowOptions, workflow string, in, out any) error {
	o.TaskQueue = workflows.Queue
	run, err := c.ExecuteWorkflow(ctx, o, workflow, in)
	if err != nil {
		return temporalFault(err)
	}
	view := newTimeline(a.Stderr, a.converter())
	view.quiet = true
	watch, stop := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := watchRead(watch, c, run, view, p); err != nil {
			stop(err)
		}
	}()
	err = run.Get(watch, out)
	stop(nil)
	<-watched
	var unreachable unreachableError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return exitError(exitInterrupted)
	case errors.As(context.Cause(watch), &unreachable):
		return unreachable
	}
	catchUp(ctx, c, run, view, 0)
	return readFault(workflows.FaultOf(err), view.failed)
}

// watchRead says what a read waits for when that takes long. It fails when
// nobody is there to run it, unless that is waited for.
func watchRead(ctx context.Context, c client.Client, run client.WorkflowRun, view *timeline, p patience) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	started, seen := time.Now(), int64(0)
	var control controlWatch
	told := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		described, err := c.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
		if err != nil {
			continue // who waits for the result is told
		}
		gone := control.gone(described)
		if gone && !p.waits {
			return unreachableError{fault.New(fault.Unavailable, "no control worker polls the queue %s", workflows.Queue).
				WithHint("start one: mcp worker --control")}
		}
		if gone && !told {
			view.note(waitingForControl)
		}
		told = gone
		if time.Since(started) < p.quiet {
			continue
		}
		seen = catchUp(ctx, c, run, view, seen)
		for _, pending := range described.GetPendingActivities() {
			view.heard(pending)
		}
	}
}

// catchUp feeds the view what the history has beyond the event already seen,
// and returns the last event.
func catchUp(ctx context.Context, c client.Client, run client.WorkflowRun, view *timeline, seen int64) int64 {
	events := c.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			break // it only explains
		}
		if event.GetEventId() > seen {
			seen = event.GetEventId()
			view.event(event)
		}
	}
	return seen
}

// readFault says of a read that failed what it waited for, and tells an
// absent control plane, which Postgres is a part of, from a failure.
func readFault(f *fault.Error, failed *step) error {
	if f.Kind != fault.Unavailable || failed == nil {
		return f
	}
	if strings.HasSuffix(f.Message, "ToClose timeout") { // that is all that it says
		last := fault.New(fault.Unavailable, "%s: no answer in time", failed.summary)
		if failed.failure != nil {
			last = failed.failure
		}
		f = last
	}
	if failed.queue == workflows.Queue && failed.activity != "ImageExists" {
		return unreachableError{f}
	}
	return f
}

// waitingForControl is what is said where a control worker is waited for.
const waitingForControl = "no control worker polls the queue " + workflows.Queue + "; waiting for one (mcp worker --control)"

// controlWatch tells from a workflow itself whether a control worker is there:
// Temporal goes on listing, for minutes, the pollers of one that has died.
type controlWatch struct {
	since time.Time // from when on a task has been seen waiting, each time
}

// gone reports whether the workflow's own task has been waiting for a while.
// It must be asked about once a second.
func (w *controlWatch) gone(described *workflowservice.DescribeWorkflowExecutionResponse) bool {
	if !untaken(described.GetPendingWorkflowTask()) {
		w.since = time.Time{}
		return false
	}
	if w.since.IsZero() {
		w.since = time.Now()
	}
	return time.Since(w.since) >= readPatience
}

func untaken(task *workflow.PendingWorkflowTaskInfo) bool {
	return task != nil && task.GetState() == enums.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
}
