package workflows

import (
	"context"
	"time"

	"go.temporal.io/sdk/workflow"
)

// callControl calls an activity of the control worker that takes milliseconds: as a
// local activity first, and, where that does not succeed within localTimeout, as an
// ordinary one until left has passed, whose attempts and their causes can be seen.
// A left of 0 is without a deadline.
//
// Local activities that follow each other are one task of the workflow. Where the
// answer to that task is lost all of them run again, from the first one: each must
// have the same effect after the last one, too.
func callControl[In, Out any](ctx workflow.Context, summary string, left time.Duration, activity func(context.Context, In) (Out, error), in In) (Out, error) {
	var out Out
	err := call(ctx, summary, localTimeout, left, &out, activity, in)
	return out, err
}

// queryControl is callControl for an activity without an input.
func queryControl[Out any](ctx workflow.Context, summary string, left time.Duration, activity func(context.Context) (Out, error)) (Out, error) {
	var out Out
	err := call(ctx, summary, localTimeout, left, &out, activity)
	return out, err
}

// sendControl is callControl for an activity without a result.
func sendControl[In any](ctx workflow.Context, summary string, left time.Duration, activity func(context.Context, In) error, in In) error {
	return call(ctx, summary, localTimeout, left, nil, activity, in)
}

// call is callControl, unchecked, with the time for the local activity.
func call(ctx workflow.Context, summary string, brief, left time.Duration, out any, activity any, args ...any) error {
	// A cancelled workflow waits for it: what it has written must be known.
	local, _ := workflow.NewDisconnectedContext(ctx)
	err := workflow.ExecuteLocalActivity(localStep(local, summary, brief), activity, args...).Get(local, out)
	if err == nil || isFinal(err) {
		return err
	}
	return workflow.ExecuteActivity(controlStep(ctx, summary, left), activity, args...).Get(ctx, out)
}
