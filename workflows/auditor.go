package workflows

import (
	"cmp"
	"fmt"
	"reflect"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fleet"
)

// HeaderDoor is the header that holds the door's signature of HeaderActor.
const HeaderDoor = "mcp-door"

// HeaderActor is the header of a workflow's start that holds the fleet.Actor who asks
// for it.
const HeaderActor = "mcp-actor"

// SignedByDoor reports whether the signature is a door's, that an actor, as JSON, has asked
// for a workflow of this id and type.
type SignedByDoor func(id, workflow string, actor, signature []byte) bool

// NewAuditor returns the interceptor that adds every workflow of the table of actions to
// the audit, when it begins and when it has ended. Every worker and replayer of workflows
// has it. Who asks is known where a door says so, and claimed elsewhere; where signed is
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

// ExecuteWorkflow runs the workflow, and adds it to the audit beside that: what cannot be
// recorded keeps nothing from being done.
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
	audit.end(ctx, result, err)
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

// doorKey is the key, in a workflow's context, of whether a door says who has started it.
type doorKey struct{}

// auditKey is the key of the audit in a workflow's context.
type auditKey struct{}

// audit is how a workflow is recorded.
type audit struct {
	begun, ended fleet.AuditEntry
	// missing are the entries that are not known to be recorded, by whether they are of
	// the end.
	missing map[bool]fleet.AuditEntry
	stop    workflow.CancelFunc
}

func newAudit(ctx workflow.Context, actor fleet.Actor, action fleet.Action) *audit {
	info := workflow.GetInfo(ctx)
	run := info.WorkflowExecution.RunID
	return &audit{
		begun: fleet.AuditEntry{
			Key: cmp.Or(info.FirstRunID, info.OriginalRunID, run), At: workflow.Now(ctx), Actor: actor, Action: action,
			WorkflowID: info.WorkflowExecution.ID, RunID: run,
		},
		missing: map[bool]fleet.AuditEntry{},
		stop:    func() {},
	}
}

// begin records that the action begins, while it does.
func (a *audit) begin(ctx workflow.Context) { a.send(ctx, a.begun) }

// succeeded records that the action has succeeded, although its workflow goes on.
func succeeded(ctx workflow.Context) {
	if a, ok := ctx.Value(auditKey{}).(*audit); ok && !a.ended.Ended() {
		a.ended = a.entry(ctx, string(Succeeded), "")
		a.send(ctx, a.ended)
	}
}

// send records an entry while the workflow goes on, for as long as that takes.
func (a *audit) send(ctx workflow.Context, entry fleet.AuditEntry) {
	a.missing[entry.Ended()] = entry
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	ctx, stop := workflow.WithCancel(ctx)
	others := a.stop
	a.stop = func() { others(); stop() }
	workflow.Go(ctx, func(ctx workflow.Context) {
		if sendControl(ctx, "add to the audit", 0, control.RecordAudit, []fleet.AuditEntry{entry}) == nil {
			delete(a.missing, entry.Ended())
		}
	})
}

// auditPatience is how long an action that has ended waits to be recorded; after that
// another workflow records it.
const auditPatience = 5 * time.Second

// end records how the action has ended, and what could not be recorded before.
func (a *audit) end(ctx workflow.Context, result any, err error) {
	if workflow.IsContinueAsNewError(err) {
		return // the next run goes on with the action
	}
	a.stop()
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if !a.ended.Ended() {
		a.ended = a.entry(ctx, "", "")
		a.ended.Outcome, a.ended.Error = outcomeOf(result, err)
		a.missing[true] = a.ended
	}
	entries := a.left()
	if len(entries) == 0 || sendControl(ctx, "add to the audit", auditPatience, control.RecordAudit, entries) == nil {
		return
	}
	late := workflow.ChildWorkflowOptions{WorkflowID: RecordAuditID(a.begun.Key, "late"), StaticSummary: "add to the audit: " + a.begun.Verb}
	if err := startDetached(ctx, late, RecordAuditName, RecordAuditInput{Entries: entries}); err != nil {
		workflow.GetLogger(ctx).Error("it is not in the audit", "error", err)
	}
}

// left are the entries that are not known to be recorded.
func (a *audit) left() (entries []fleet.AuditEntry) {
	for _, ended := range []bool{false, true} {
		if entry, ok := a.missing[ended]; ok {
			entries = append(entries, entry)
		}
	}
	return entries
}

// entry is one of the end of the action.
func (a *audit) entry(ctx workflow.Context, outcome, reason string) fleet.AuditEntry {
	e := a.begun
	e.At, e.Outcome, e.Error = workflow.Now(ctx), outcome, reason
	return e
}

// outcomeOf is how a workflow has ended, in a word, and why it has failed.
func outcomeOf(result any, err error) (outcome, reason string) {
	switch {
	case isCancelled(err):
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

// RecordAuditInput is entries that the audit lacks.
type RecordAuditInput struct {
	Entries []fleet.AuditEntry `json:"entries"`
	// Reported is set where an event says that they are not recorded, and Until is when
	// to give up.
	Reported bool      `json:"reported,omitempty"`
	Until    time.Time `json:"until,omitzero"`
}

const (
	// recordAuditFor is how long the audit is tried for what it lacks.
	recordAuditFor = 30 * 24 * time.Hour
	// recordAuditPause is the longest time between two attempts.
	recordAuditPause = 10 * time.Minute
)

// RecordAudit adds entries to the audit. Where that does not succeed at once it is an
// event, and tried on.
func RecordAudit(ctx workflow.Context, in RecordAuditInput) error {
	if len(in.Entries) == 0 {
		return nil
	}
	if in.Until.IsZero() {
		in.Until = workflow.Now(ctx).Add(recordAuditFor)
	}
	for i := range in.Entries {
		e := &in.Entries[i]
		if e.At.IsZero() {
			e.At = workflow.Now(ctx)
		}
		known, _ := ctx.Value(doorKey{}).(bool)
		e.Claimed = e.Claimed || !known && workflow.GetInfo(ctx).ParentWorkflowExecution == nil
	}
	for pause := time.Second; ; pause = min(2*pause, recordAuditPause) {
		err := sendControl(ctx, "add to the audit", time.Minute, control.RecordAudit, in.Entries)
		if err == nil {
			if in.Reported {
				reportAudit(ctx, fleet.EventAudited, in.Entries[0], nil)
			}
			return nil
		}
		if isCancelled(err) || workflow.Now(ctx).After(in.Until) {
			return err
		}
		in.Reported = in.Reported || reportAudit(ctx, fleet.EventUnaudited, in.Entries[0], err)
		if err := workflow.Sleep(ctx, pause); err != nil {
			return err
		}
		if spent(ctx) {
			return workflow.NewContinueAsNewError(ctx, RecordAuditName, in)
		}
	}
}

// reportAudit makes an event of an action that the audit lacks, or has at last. It
// reports whether it could.
func reportAudit(ctx workflow.Context, kind fleet.DriftKind, e fleet.AuditEntry, cause error) bool {
	said := fmt.Sprintf("%s of %s by %s", e.Verb, e.Subject(), e.Who)
	if e.From != "" {
		said += " on " + e.From
	}
	if cause != nil {
		said += " is not in the audit yet: " + attempt.FaultOf(cause).Message
	} else {
		said += " is in the audit now"
	}
	event := fleet.Event{
		At: workflow.Now(ctx), Node: e.Node, Edge: e.Edge, Since: e.At,
		Drift: fleet.Drift{Kind: kind, Service: e.Service, Detail: said},
	}
	recorded, err := callControl(ctx, "report what the audit lacks", time.Minute, control.RecordEvents, []fleet.Event{event})
	if err == nil {
		err = startAlerts(ctx, recorded.Alerting)
	}
	if err != nil {
		workflow.GetLogger(ctx).Error("it is no event that the audit lacks an action", "error", err)
	}
	return err == nil
}

// AuditInput selects actions.
type AuditInput struct {
	fleet.AuditQuery
	// For is how far back to read; 0 for no limit.
	For time.Duration `json:"for,omitempty"`
}

// Audit reads actions, oldest first.
func Audit(ctx workflow.Context, in AuditInput) ([]fleet.AuditRecord, error) {
	if in.For > 0 {
		in.Since = workflow.Now(ctx).Add(-in.For) // actions have the same clock
	}
	list, err := callControl(ctx, "read the audit", readTimeout, control.ListAudit, in.AuditQuery)
	if err != nil {
		return nil, readFailure(err)
	}
	return list, nil
}
