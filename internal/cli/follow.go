package cli

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/workflows"
)

// outcome follows a workflow to its end and decodes the result that it has
// either way. An error means that there is none.
func (a *App) outcome(ctx context.Context, c client.Client, run client.WorkflowRun, result any) error {
	err := a.follow(ctx, c, run, result)
	if err == nil || workflows.ResultOf(err, result) {
		return nil
	}
	if errors.As(err, new(exitError)) {
		return err
	}
	return workflows.FaultOf(err)
}

// follow tails a workflow's history until it ends, and decodes its result. A
// tail needs no worker and adds no event. Temporal may go away meanwhile: the
// tail goes on where it was. When ctx ends it detaches, and says how to come
// back.
func (a *App) follow(ctx context.Context, c client.Client, run client.WorkflowRun, out any) error {
	view := newTimeline(a.Stderr, a.converter())
	polls, stop := context.WithCancel(ctx)
	polled := make(chan struct{})
	go func() {
		defer close(polled)
		a.pollPending(polls, c, run, view)
	}()
	err := a.tail(ctx, c, run, view)
	stop()
	<-polled
	view.end()
	if ctx.Err() != nil {
		a.say("detached: %s goes on in Temporal; the same command attaches again, and mcp cancel stops a deploy", run.GetID())
		return exitError(exitInterrupted)
	}
	if err != nil {
		return err
	}
	return run.Get(ctx, out)
}

// tail feeds each event of the history to the view, once.
func (a *App) tail(ctx context.Context, c client.Client, run client.WorkflowRun, view *timeline) error {
	seen, away := int64(0), false
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
		}
		var gone *serviceerror.NotFound
		if err == nil || ctx.Err() != nil || errors.As(err, &gone) {
			return err
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

// pollPending reads, about once a second, what the history does not tell:
// heartbeats, retries, and activities that nobody has taken.
func (a *App) pollPending(ctx context.Context, c client.Client, run client.WorkflowRun, view *timeline) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	started := time.Now()
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
			view.pending(pending)
		}
		if !view.moving() && time.Since(started) > connectPatience && controlAnswers(ctx, c) != nil {
			view.note("no control worker polls the queue control; waiting for one (mcp worker --control)")
			started = time.Now().Add(time.Hour) // once is enough
		}
	}
}
