package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
)

// SyncResult is what has become of one definition.
type SyncResult struct {
	// Recorded is whether it is another than the registry had.
	Recorded bool `json:"recorded"`
	// Plan is what a deploy would then do; nil where that cannot be told, for
	// the reason in Error.
	Plan  *PlanResult  `json:"plan,omitempty"`
	Error *fault.Error `json:"error,omitempty"`
}

// Sync records a definition, and finds out what a deploy of it would do. It
// takes no lock, and changes nothing on a node.
func Sync(ctx workflow.Context, in DeployInput) (*SyncResult, error) {
	var recorded activities.RecordDefinitionResult
	step := controlStep(ctx, "record the definition of "+in.Definition.Name, readDeadline)
	err := workflow.ExecuteActivity(step, control.RecordDefinition, activities.RecordDefinitionInput{Definition: in.Definition}).Get(ctx, &recorded)
	if err != nil {
		return nil, readFailure(err)
	}
	result := &SyncResult{Recorded: recorded.Changed}
	if result.Plan, err = Plan(ctx, in); err != nil {
		result.Error = activities.FaultOf(err)
	}
	return result, nil
}
