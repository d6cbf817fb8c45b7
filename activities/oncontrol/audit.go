package oncontrol

import (
	"context"

	"github.com/metacircular/mcp/internal/fleet"
)

// AuditStore keeps who did what.
type AuditStore interface {
	RecordAudit(ctx context.Context, entries []fleet.AuditEntry) error
	Audit(ctx context.Context, q fleet.AuditQuery) ([]fleet.AuditRecord, error)
	RecordEvents(ctx context.Context, events []fleet.Event, destinations []string) error
}

// RecordAudit adds entries to the audit. One that is there already stays as it is.
func (a *Control) RecordAudit(ctx context.Context, entries []fleet.AuditEntry) error {
	return a.Registry.RecordAudit(ctx, entries)
}

// ListAudit reads actions, oldest first.
func (a *Control) ListAudit(ctx context.Context, q fleet.AuditQuery) ([]fleet.AuditRecord, error) {
	return a.Registry.Audit(ctx, q)
}

// RecordEventsResult lists the destinations that have yet to get alerts.
type RecordEventsResult struct {
	Alerting []string `json:"alerting,omitempty"`
}

// RecordEvents adds events of a workflow, each once.
func (a *Control) RecordEvents(ctx context.Context, events []fleet.Event) (RecordEventsResult, error) {
	if err := a.Registry.RecordEvents(ctx, events, a.destinations()); err != nil {
		return RecordEventsResult{}, err
	}
	return RecordEventsResult{Alerting: a.destinations()}, nil
}
