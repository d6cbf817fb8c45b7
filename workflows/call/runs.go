package call

import (
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// maxEvents is how long the history of a run that loops may become; Temporal's limit is
// 51,200.
const maxEvents = 2000

// Spent reports whether a run that loops must go on as a new one: its history grows with
// each turn.
func Spent(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() >= maxEvents
}

// LockPause is how long to wait before asking again whether a service is being
// deployed.
const LockPause = 5 * time.Second

// StartDetached starts the workflow of that name, which outlives this one. One of that
// id that runs already is left to run.
func StartDetached(ctx workflow.Context, o workflow.ChildWorkflowOptions, name string, args ...any) error {
	o.ParentClosePolicy = enums.PARENT_CLOSE_POLICY_ABANDON
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, o), name, args...)
	err := child.GetChildWorkflowExecution().Get(ctx, nil)
	if errors.As(err, new(*temporal.ChildWorkflowExecutionAlreadyStartedError)) {
		return nil
	}
	return err
}

// SearchNode is the search attribute that holds the nodes that a run is about.
var SearchNode = temporal.NewSearchAttributeKeyKeywordList("McpNode")
