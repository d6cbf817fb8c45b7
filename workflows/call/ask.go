package call

import (
	"context"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/watch"
)

// control only names an activity.
var control *oncontrol.Control

// AskNode asks a node a question before anything is changed there. A node without a
// worker that was seen a moment ago may be restarting, and is waited for; one that is
// away for long, or was never seen, is an error at once.
func AskNode[In, Out any](ctx workflow.Context, name, summary string, left time.Duration, question func(context.Context, In) (Out, error), in In) (Out, error) {
	var answer Out
	deadline := workflow.Now(ctx).Add(left)
	err := workflow.ExecuteActivity(surveyStep(ctx, name, summary, NodeTimeout, left), question, in).Get(ctx, &answer)
	if !IsUntaken(err) {
		return answer, err
	}
	seen, unknown := Control(ctx, "look up when "+name+" was last seen", Until(ctx, deadline), control.LastSeen, name)
	if unknown != nil {
		return answer, unknown
	}
	if patience := watch.Patience(seen, workflow.Now(ctx)); patience > 0 && workflow.Now(ctx).Before(deadline) {
		step := surveyStep(ctx, name, "waiting for "+name, patience, Until(ctx, deadline))
		err = workflow.ExecuteActivity(step, question, in).Get(ctx, &answer)
	}
	if IsUntaken(err) && !seen.IsZero() {
		err = absence(name, workflow.Now(ctx).Sub(seen))
	}
	return answer, err
}

// AskEdge runs an activity on an edge, which takes no longer than most beyond the time of
// a short step. An edge that leaves it untaken is away, unless Temporal itself was: then that
// shows later than it should, and the edge is asked once more.
func AskEdge(ctx workflow.Context, name, summary string, most time.Duration, activity, in, out any) error {
	asked := workflow.Now(ctx)
	err := workflow.ExecuteActivity(EdgeStep(ctx, name, summary, most), activity, in).Get(ctx, out)
	if IsUntaken(err) && workflow.Now(ctx).Sub(asked) > edgeTimeout+edgeTimeout/4 {
		err = workflow.ExecuteActivity(EdgeStep(ctx, name, summary, most), activity, in).Get(ctx, out)
	}
	return err
}
