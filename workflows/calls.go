package workflows

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/onbuilder"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/activities/onnode"
)

// Activities are called through typed nil pointers: only their names count.
var (
	control *oncontrol.Control
	node    *onnode.Node
	builder *onbuilder.Builder
	edge    *onedge.Edge
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

// findDigestOf is callControl for ImageExists. The commands of a task are held back until
// its local activities have ended, and the surveys of the nodes are among them: an image
// registry that is slower than imageTimeout is asked by an ordinary activity, beside them.
func findDigestOf(ctx workflow.Context, image string, left time.Duration) (oncontrol.ImageExistsResult, error) {
	var found oncontrol.ImageExistsResult
	err := call(ctx, "look for "+image, imageTimeout, left, &found, control.ImageExists, oncontrol.ImageExistsInput{Image: image})
	return found, err
}

// spent reports whether a run that loops must go on as a new one: its history grows with
// each turn.
func spent(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() >= maxEvents
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
