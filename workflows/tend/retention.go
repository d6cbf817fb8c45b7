package tend

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/watch"
	"github.com/metacircular/mcp/workflows/call"
)

// Retention thins the history of nodes and events. A schedule starts it again and
// again: what one run leaves undone the next one does.
func Retention(ctx workflow.Context) error {
	step := call.PruneStep(ctx, activities.QueueControl, "thin the history")
	return workflow.ExecuteActivity(step, control.ThinHistory, watch.RetentionAt(workflow.Now(ctx))).Get(ctx, nil)
}
