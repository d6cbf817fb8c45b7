package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/tend"
)

// RecordAuditInput is entries that the audit lacks.
type RecordAuditInput struct {
	Entries []fleet.AuditEntry `json:"entries"`
	// Reported is set if an event says that they are not recorded, and Until is when
	// to give up.
	Reported bool      `json:"reported,omitempty"`
	Until    time.Time `json:"until,omitzero"`
}

const (
	// recordAuditFor is how long to try to add what the audit lacks.
	recordAuditFor = 30 * 24 * time.Hour
	// recordAuditPause is the longest time between two attempts.
	recordAuditPause = 10 * time.Minute
)

// RecordAudit adds entries to the audit. If that does not succeed at once, it is an
// event, and is tried again.
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
		err := call.ControlSend(ctx, "add to the audit", time.Minute, control.RecordAudit, in.Entries)
		if err == nil {
			if in.Reported {
				reportAudit(ctx, fleet.EventAudited, in.Entries[0], nil)
			}
			return nil
		}
		if call.IsCancelled(err) || workflow.Now(ctx).After(in.Until) {
			return err
		}
		in.Reported = in.Reported || reportAudit(ctx, fleet.EventUnaudited, in.Entries[0], err)
		if err := workflow.Sleep(ctx, pause); err != nil {
			return err
		}
		if call.Spent(ctx) {
			return workflow.NewContinueAsNewError(ctx, RecordAuditName, in)
		}
	}
}

// reportAudit records an event about an action that the audit lacks, or has at last. It
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
	recorded, err := call.Control(ctx, "report what the audit lacks", time.Minute, control.RecordEvents, []fleet.Event{event})
	if err == nil {
		err = tend.StartAlerts(ctx, recorded.Alerting)
	}
	if err != nil {
		workflow.GetLogger(ctx).Error("it is no event that the audit lacks an action", "error", err)
	}
	return err == nil
}

// doorKey is the key, in a workflow's context, of whether a door says who has started it.
type doorKey struct{}
