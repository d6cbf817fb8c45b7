package call

import (
	"context"
	"time"

	"go.temporal.io/sdk/workflow"
)

// Control calls an activity of the control worker that takes milliseconds: as a
// local activity first, and, if that does not succeed within a second, as an ordinary
// one until left has passed, whose attempts and their causes can be seen. A left of 0
// means no deadline.
//
// Local activities that follow each other are one task of the workflow. If the answer
// to that task is lost, all of them run again, from the first one: each must have the
// same effect after the last one, too.
func Control[In, Out any](ctx workflow.Context, summary string, left time.Duration, activity func(context.Context, In) (Out, error), in In) (Out, error) {
	var out Out
	err := ControlWithin(ctx, summary, localTimeout, left, &out, activity, in)
	return out, err
}

// ControlQuery is Control for an activity without an input.
func ControlQuery[Out any](ctx workflow.Context, summary string, left time.Duration, activity func(context.Context) (Out, error)) (Out, error) {
	var out Out
	err := ControlWithin(ctx, summary, localTimeout, left, &out, activity)
	return out, err
}

// ControlSend is Control for an activity without a result.
func ControlSend[In any](ctx workflow.Context, summary string, left time.Duration, activity func(context.Context, In) error, in In) error {
	return ControlWithin(ctx, summary, localTimeout, left, nil, activity, in)
}

// ControlWithin is Control, unchecked, with the time for the local activity.
func ControlWithin(ctx workflow.Context, summary string, brief, left time.Duration, out any, activity any, args ...any) error {
	// A cancelled workflow waits for it: what it has written must be known.
	local, _ := workflow.NewDisconnectedContext(ctx)
	err := workflow.ExecuteLocalActivity(localStep(local, summary, brief), activity, args...).Get(local, out)
	if err == nil || isFinal(err) {
		return err
	}
	return workflow.ExecuteActivity(ControlStep(ctx, summary, left), activity, args...).Get(ctx, out)
}
