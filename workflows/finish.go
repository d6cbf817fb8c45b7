package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// finish undoes what must be undone, records the outcome and makes the result. The
// error that ended the deploy is never replaced by another.
func (d *deploy) finish(ctx workflow.Context, cause error) (*Result, error) {
	r := d.result
	switch {
	case cause == nil && d.committed:
		r.Outcome = Succeeded
	case cause == nil:
		r.Outcome = Unchanged
	default:
		r.Outcome = Failed
		if ctx.Err() != nil && !d.forward {
			r.Outcome = Cancelled
			cause = fault.New(fault.Conflict, "the %s of %s was cancelled", d.verb.word, r.Service)
		}
		r.Error = d.waitedFor(ctx, attempt.FaultOf(cause))
		switch {
		case len(r.Undone) > 0: // the release is not known, so Mend reads it
		case d.renamed:
			r.Undone = d.reverse(ctx)
		default:
			r.Undone = d.putBack(ctx)
		}
	}
	d.publishRelease(ctx)
	// What an earlier deployment left is repaired only by one that succeeds with
	// the whole service, and changes its nodes.
	r.Dirty = len(r.Undone) > 0 || d.release.Dirty && (cause != nil || len(d.only) > 0 || d.verb.adopts)
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	d.record(ctx)
	if r.Dirty {
		d.startMend(ctx)
	}
	elapsed := d.elapsed(ctx)
	r.ElapsedMS = elapsed.Milliseconds()
	countDeploy(ctx, d.verb.word, r, elapsed)
	if r.Error != nil {
		return nil, failure(r.Outcome, r.Error, *r)
	}
	return r, nil
}

// elapsed is how long the deploy has taken: removing what goes without a successor
// counts, and retiring the predecessors of a release does not.
func (d *deploy) elapsed(ctx workflow.Context) time.Duration {
	if d.committed && !d.verb.removes {
		return d.released.Sub(d.started)
	}
	return workflow.Now(ctx).Sub(d.started)
}

// record records the outcome in the registry and in the search attributes.
func (d *deploy) record(ctx workflow.Context) {
	r := d.result
	log := workflow.GetLogger(ctx)
	if err := workflow.UpsertTypedSearchAttributes(ctx, SearchOutcome.ValueSet(string(r.Outcome))); err != nil {
		log.Warn("outcome is not searchable", "error", err)
	}
	d.log("**" + string(r.Outcome) + "**")
	if d.number == 0 {
		return // it was never opened
	}
	request := fleet.FinishRequest{
		Service: r.Service, Deployment: d.number, Run: d.runID, Outcome: string(r.Outcome),
		Undone: r.Undone, Dirty: r.Dirty, Nodes: d.touched(), Answered: workflow.DeterministicKeys(d.answered), ReleasePorts: d.restPorts,
		NotRetired: d.notRetired, FailedSteps: d.failedSteps,
	}
	if r.Error != nil {
		request.ErrorKind, request.ErrorMessage = string(r.Error.Kind), r.Error.Message
		request.ErrorLog = r.Error.Log
	}
	if err := call.ControlSend(ctx, "write the outcome: "+string(r.Outcome), 0, control.FinishDeployment, request); err != nil {
		log.Error("outcome is not recorded", "error", err)
	}
}

// waitedFor adds to a fault how long the deploy waited. Its last attempt is the one
// after which another would have come too late.
func (d *deploy) waitedFor(ctx workflow.Context, f *fault.Error) *fault.Error {
	lastAttempt := d.deadline.Add(-call.MaxPause)
	if f.Kind != fault.Unavailable || workflow.Now(ctx).Before(lastAttempt) {
		return f
	}
	late := *f
	late.Message = fmt.Sprintf("gave up after %s: %s", d.in.Timeout(), f.Message)
	return &late
}

// startMend leaves a dirty service to a Mend, which outlives this workflow.
func (d *deploy) startMend(ctx workflow.Context) {
	err := call.StartDetached(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            MendID(d.desired.Name, d.number),
		StaticSummary:         "mend " + d.desired.Name,
		TypedSearchAttributes: workflow.GetTypedSearchAttributes(ctx),
	}, MendName, MendInput{
		Definition: d.desired, Deployment: d.number, Run: d.runID, Nodes: d.touched(),
		Adopted: slices.Concat(d.release.AdoptedAnywhere(), d.adoption.Adopted),
	})
	if err != nil {
		workflow.GetLogger(ctx).Error("mend is not started", "error", err)
	}
}
