package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows/call"
)

// SyncResult is the outcome of a sync.
type SyncResult struct {
	// Recorded is set if the definition differs from the recorded one.
	Recorded bool `json:"recorded"`
	// Plan is what a deploy would do now; nil if no plan could be made, for the
	// reason in Error.
	Plan  *PlanResult  `json:"plan,omitempty"`
	Error *fault.Error `json:"error,omitempty"`
}

// Sync records a definition and plans a deploy of it. It takes no lock, and changes
// nothing on a node.
func Sync(ctx workflow.Context, in DeployInput) (*SyncResult, error) {
	var recorded oncontrol.RecordDefinitionResult
	step := call.ControlStep(ctx, "record the definition of "+in.Definition.Name, call.ReadTimeout)
	err := workflow.ExecuteActivity(step, control.RecordDefinition, oncontrol.RecordDefinitionInput{Definition: in.Definition}).Get(ctx, &recorded)
	if err != nil {
		return nil, call.Failure(err)
	}
	result := &SyncResult{Recorded: recorded.Changed}
	if result.Plan, err = Plan(ctx, in); err != nil {
		result.Error = attempt.FaultOf(err)
	}
	return result, nil
}
