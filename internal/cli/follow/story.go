package follow

import (
	"context"
	"errors"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/metacircular/mcp/internal/cli/exit"
)

// Story prints the steps of a past workflow as Run printed them, while Temporal
// retains them.
func (f Follower) Story(ctx context.Context, workflowID, runID string) error {
	view := newTimeline(f.Console.Stderr)
	view.live, view.story = f.Console.Screen != nil, true
	events := f.Client.GetWorkflowHistory(ctx, workflowID, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		var gone *serviceerror.NotFound
		if errors.As(err, &gone) {
			f.Console.Say("Temporal no longer retains the steps of this deployment")
			break
		}
		if err != nil {
			return exit.Temporal(err)
		}
		view.event(event)
	}
	return nil
}
