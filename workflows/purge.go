package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// Purge forgets a service that has no container any more. It runs under DeployID, so
// that no deploy of the service runs beside it.
func Purge(ctx workflow.Context, in PurgeInput) (*Result, error) {
	started, info := workflow.Now(ctx), workflow.GetInfo(ctx).WorkflowExecution
	r := &Result{Service: in.Service, WorkflowID: info.ID, RunID: info.RunID, Outcome: Succeeded, Components: []ComponentResult{}}
	forgotten, err := purge(ctx, in)
	r.ElapsedMS = workflow.Now(ctx).Sub(started).Milliseconds()
	switch {
	case err == nil && forgotten.Nothing():
		r.Outcome = Unchanged
	case call.IsCancelled(err):
		r.Outcome, r.Error = Cancelled, fault.New(fault.Conflict, "the purge of %s was cancelled", in.Service)
	case err != nil:
		r.Outcome, r.Error = Failed, attempt.FaultOf(call.TimeoutFault(err, "forget "+in.Service))
	}
	if r.Error != nil {
		return nil, failure(r.Outcome, r.Error, *r)
	}
	r.Forgotten = &forgotten
	return r, nil
}

// purge counts the rows of a service, and then forgets them.
func purge(ctx workflow.Context, in PurgeInput) (fleet.Forgotten, error) {
	var counted, forgotten fleet.Forgotten
	step := call.ControlStep(ctx, "count the records of "+in.Service, in.Timeout())
	err := workflow.ExecuteActivity(step, control.Purge, oncontrol.PurgeInput{Service: in.Service, Dry: true}).Get(ctx, &counted)
	if err != nil {
		return forgotten, err
	}
	step = call.ControlStep(ctx, "forget "+in.Service, in.Timeout())
	err = workflow.ExecuteActivity(step, control.Purge, oncontrol.PurgeInput{Service: in.Service}).Get(ctx, &forgotten)
	if err == nil && forgotten.Nothing() && !counted.Nothing() {
		return counted, nil // an attempt whose answer was lost has forgotten them
	}
	return forgotten, err
}
