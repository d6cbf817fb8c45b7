package workflows

import (
	"cmp"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// auditKey is the key of the audit in a workflow's context.
type auditKey struct{}

// audit is how a workflow is recorded.
type audit struct {
	begun, ended fleet.AuditEntry
	// missing are the entries that are not known to be recorded, by whether they record the
	// end.
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

// begin records that the action begins, while the workflow goes on.
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
		if call.ControlSend(ctx, "add to the audit", 0, control.RecordAudit, []fleet.AuditEntry{entry}) == nil {
			delete(a.missing, entry.Ended())
		}
	})
}

// auditPatience is how long an action that has ended waits to be recorded; after that
// another workflow records it.
const auditPatience = 5 * time.Second

// end records how the action has ended, and what could not be recorded before.
func (a *audit) end(ctx workflow.Context, outcome, reason string) {
	a.stop()
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if !a.ended.Ended() {
		a.ended = a.entry(ctx, outcome, reason)
		a.missing[true] = a.ended
	}
	entries := a.left()
	if len(entries) == 0 || call.ControlSend(ctx, "add to the audit", auditPatience, control.RecordAudit, entries) == nil {
		return
	}
	late := workflow.ChildWorkflowOptions{WorkflowID: RecordAuditID(a.begun.Key, "late"), StaticSummary: "add to the audit: " + a.begun.Verb}
	if err := call.StartDetached(ctx, late, RecordAuditName, RecordAuditInput{Entries: entries}); err != nil {
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

// entry is the one that records the end of the action.
func (a *audit) entry(ctx workflow.Context, outcome, reason string) fleet.AuditEntry {
	e := a.begun
	e.At, e.Outcome, e.Error = workflow.Now(ctx), outcome, reason
	return e
}
