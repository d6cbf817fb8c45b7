package workflows

import (
	"cmp"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// Purge forgets a service of which no container is left. It runs under DeployID,
// so that no deploy of the service runs beside it.
func Purge(ctx workflow.Context, in DeployInput) (*Result, error) {
	started, info := workflow.Now(ctx), workflow.GetInfo(ctx).WorkflowExecution
	service := in.Definition.Name
	r := &Result{Service: service, WorkflowID: info.ID, RunID: info.RunID, Outcome: Succeeded, Components: []ComponentResult{}}
	left := cmp.Or(in.Deadline, DefaultDeadline)
	var known, gone fleet.Forgotten
	step := controlStep(ctx, "count what there is of "+service, left)
	err := workflow.ExecuteActivity(step, control.Purge, activities.PurgeInput{Service: service, Dry: true}).Get(ctx, &known)
	if err == nil {
		step := controlStep(ctx, "forget "+service, left)
		err = workflow.ExecuteActivity(step, control.Purge, activities.PurgeInput{Service: service}).Get(ctx, &gone)
	}
	if gone.Nothing() && !known.Nothing() { // an attempt whose answer was lost may have forgotten it
		gone = known
	}
	r.ElapsedMS = workflow.Now(ctx).Sub(started).Milliseconds()
	switch {
	case err == nil && gone.Nothing():
		r.Outcome = Unchanged
	case isCancelled(err):
		r.Outcome, r.Error = Cancelled, fault.New(fault.Conflict, "the purge of %s was cancelled", service)
	case err != nil:
		r.Outcome, r.Error = Failed, activities.FaultOf(unanswered(err, "forget "+service))
	}
	if r.Error != nil {
		return nil, failure(r.Outcome, r.Error, *r)
	}
	r.Forgotten = &gone
	return r, nil
}

// Purgeable finds out what a purge would forget. It takes no lock.
func Purgeable(ctx workflow.Context, service string) (*fleet.Forgotten, error) {
	known := &fleet.Forgotten{}
	if err := promptly(ctx, "count what there is of "+service, readDeadline, known, "Purge", activities.PurgeInput{Service: service, Dry: true}); err != nil {
		return nil, readFailure(err)
	}
	return known, nil
}
