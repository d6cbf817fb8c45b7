package workflows

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
)

// Activities are called through typed nil pointers: only their names count.
var (
	control *activities.Control
	node    *activities.Node
	builder *activities.Builder
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
	err := call(ctx, summary, left, &out, activity, in)
	return out, err
}

// queryControl is callControl for an activity without an input.
func queryControl[Out any](ctx workflow.Context, summary string, left time.Duration, activity func(context.Context) (Out, error)) (Out, error) {
	var out Out
	err := call(ctx, summary, left, &out, activity)
	return out, err
}

// sendControl is callControl for an activity without a result.
func sendControl[In any](ctx workflow.Context, summary string, left time.Duration, activity func(context.Context, In) error, in In) error {
	return call(ctx, summary, left, nil, activity, in)
}

// call is callControl, unchecked.
func call(ctx workflow.Context, summary string, left time.Duration, out any, activity any, args ...any) error {
	// A cancelled workflow waits for it: what it has written must be known.
	local, _ := workflow.NewDisconnectedContext(ctx)
	err := workflow.ExecuteLocalActivity(localStep(local, summary, localTimeout, &once), activity, args...).Get(local, out)
	if err == nil || isFinal(err) {
		return err
	}
	return workflow.ExecuteActivity(controlStep(ctx, summary, left), activity, args...).Get(ctx, out)
}

// callLocally calls an activity of the control worker as a local one alone, again
// and again until recordTimeout has passed.
func callLocally[In, Out any](ctx workflow.Context, summary string, activity func(context.Context, In) (Out, error), in In) (Out, error) {
	var out Out
	err := workflow.ExecuteLocalActivity(localStep(ctx, summary, recordTimeout, &waiting), activity, in).Get(ctx, &out)
	return out, err
}

// queryLocally is callLocally for an activity without an input.
func queryLocally[Out any](ctx workflow.Context, summary string, activity func(context.Context) (Out, error)) (Out, error) {
	var out Out
	err := workflow.ExecuteLocalActivity(localStep(ctx, summary, recordTimeout, &waiting), activity).Get(ctx, &out)
	return out, err
}

// startDetached starts a workflow that outlives this one. One of that id that runs
// already is left to run.
func startDetached(ctx workflow.Context, o workflow.ChildWorkflowOptions, name string, args ...any) error {
	o.ParentClosePolicy = enums.PARENT_CLOSE_POLICY_ABANDON
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, o), name, args...)
	err := child.GetChildWorkflowExecution().Get(ctx, nil)
	if errors.As(err, new(*temporal.ChildWorkflowExecutionAlreadyStartedError)) {
		return nil
	}
	return err
}
