package workflows

import (
	"fmt"
	"reflect"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// HeaderDoor is the header that holds the door's signature of HeaderActor.
const HeaderDoor = "mcp-door"

// HeaderActor is the header of a workflow's start that holds the fleet.Actor who asks
// for it.
const HeaderActor = "mcp-actor"

// SignedByDoor reports whether a door has signed that an actor, as JSON, has asked for a
// workflow of this id and type.
type SignedByDoor func(id, workflow string, actor, signature []byte) bool

// NewAuditor returns the interceptor that adds every workflow of the table of actions to
// the audit, when it begins and when it has ended. Every worker and replayer of workflows
// has it. Who asks is known if a door says so, and only claimed otherwise; if signed is
// nil there is no door.
func NewAuditor(signed SignedByDoor) interceptor.WorkerInterceptor { return &auditor{signed: signed} }

type auditor struct {
	interceptor.WorkerInterceptorBase
	signed SignedByDoor
}

func (a *auditor) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &auditedWorkflow{interceptor.WorkflowInboundInterceptorBase{Next: next}, a.signed}
}

type auditedWorkflow struct {
	interceptor.WorkflowInboundInterceptorBase
	signed SignedByDoor
}

// ExecuteWorkflow runs the workflow, and adds it to the audit meanwhile: that something
// cannot be recorded does not stop the workflow.
func (a *auditedWorkflow) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	action, ok := actionOf(workflow.GetInfo(ctx).WorkflowType.Name, in.Args)
	if !ok {
		return a.Next.ExecuteWorkflow(workflow.WithValue(ctx, doorKey{}, a.knows(ctx)), in)
	}
	actor, ok := a.actorOf(ctx)
	if !ok {
		return a.Next.ExecuteWorkflow(ctx, in)
	}
	audit := newAudit(ctx, actor, action)
	audit.begin(ctx)
	result, err := a.Next.ExecuteWorkflow(workflow.WithValue(ctx, auditKey{}, audit), in)
	if workflow.IsContinueAsNewError(err) {
		return result, err // the next run goes on with the action
	}
	outcome, reason := outcomeOf(result, err)
	audit.end(ctx, outcome, reason)
	return result, err
}

// actorOf is who has started the workflow. Ok is false for a history that was recorded
// before there was an audit.
func (a *auditedWorkflow) actorOf(ctx workflow.Context) (actor fleet.Actor, ok bool) {
	if payload := interceptor.WorkflowHeader(ctx)[HeaderActor]; payload != nil {
		if err := converter.GetDefaultDataConverter().FromPayload(payload, &actor); err != nil || actor.Who == "" {
			actor = fleet.Unknown()
		}
		actor.Claimed = !a.knows(ctx)
		return actor, true
	}
	if workflow.GetVersion(ctx, "audit", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return actor, false
	}
	_, scheduled := workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledFor)
	if info := workflow.GetInfo(ctx); scheduled || info.ParentWorkflowExecution != nil || info.ContinuedExecutionRunID != "" {
		return fleet.Itself(), true
	}
	return fleet.Unknown(), true
}

// knows reports whether a door says who has started the workflow.
func (a *auditedWorkflow) knows(ctx workflow.Context) bool {
	actor, proof := interceptor.WorkflowHeader(ctx)[HeaderActor], interceptor.WorkflowHeader(ctx)[HeaderDoor]
	if a.signed == nil || actor == nil || proof == nil {
		return false
	}
	var signature []byte
	if err := converter.GetDefaultDataConverter().FromPayload(proof, &signature); err != nil {
		return false
	}
	info := workflow.GetInfo(ctx)
	return a.signed(info.WorkflowExecution.ID, info.WorkflowType.Name, actor.GetData(), signature)
}

// outcomeOf is how a workflow has ended, in a word, and why it has failed.
func outcomeOf(result any, err error) (outcome, reason string) {
	switch {
	case call.IsCancelled(err):
		return string(Cancelled), ""
	case err != nil:
		return string(Failed), attempt.FaultOf(err).Message
	}
	switch r := result.(type) {
	case *Result:
		return string(r.Outcome), ""
	case *BuildResult:
		return string(r.Outcome), ""
	case *SyncResult:
		if !r.Recorded {
			return string(Unchanged), ""
		}
	case *ExecResult:
		if r.ExitCode != 0 {
			return string(Failed), fmt.Sprintf("exit code %d", r.ExitCode)
		}
	}
	if v := reflect.ValueOf(result); v.Kind() == reflect.Pointer && v.IsNil() {
		return "skipped", "" // a run of a job that was left out
	}
	return string(Succeeded), ""
}
