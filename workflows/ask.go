package workflows

import (
	"context"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/watch"
)

// askEdge runs an activity on an edge, which takes no longer than most beyond edgeCall. An
// edge that leaves it untaken is away, unless Temporal itself was: then that shows later than
// it was due, and the edge is asked once more.
func askEdge(ctx workflow.Context, name, summary string, most time.Duration, activity, in, out any) error {
	asked := workflow.Now(ctx)
	err := workflow.ExecuteActivity(edgeStep(ctx, name, summary, most), activity, in).Get(ctx, out)
	if isUntaken(err) && workflow.Now(ctx).Sub(asked) > edgeTimeout+edgeTimeout/4 {
		err = workflow.ExecuteActivity(edgeStep(ctx, name, summary, most), activity, in).Get(ctx, out)
	}
	return err
}

// askNode asks a node a question before anything is changed there. A node without a
// worker that was seen a moment ago may be restarting, and is waited for; one that is
// away for long, or was never seen, is an error at once.
func askNode[In, Out any](ctx workflow.Context, name, summary string, left time.Duration, question func(context.Context, In) (Out, error), in In) (Out, error) {
	var answer Out
	deadline := workflow.Now(ctx).Add(left)
	err := workflow.ExecuteActivity(surveyStep(ctx, name, summary, nodeTimeout, left), question, in).Get(ctx, &answer)
	if !isUntaken(err) {
		return answer, err
	}
	seen, unknown := callControl(ctx, "look up when "+name+" was last seen", until(ctx, deadline), control.LastSeen, name)
	if unknown != nil {
		return answer, unknown
	}
	if patience := watch.Patience(seen, workflow.Now(ctx)); patience > 0 && workflow.Now(ctx).Before(deadline) {
		step := surveyStep(ctx, name, "waiting for "+name, patience, until(ctx, deadline))
		err = workflow.ExecuteActivity(step, question, in).Get(ctx, &answer)
	}
	if isUntaken(err) && !seen.IsZero() {
		err = absence(name, workflow.Now(ctx).Sub(seen))
	}
	return answer, err
}
