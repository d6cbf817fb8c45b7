package reads

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

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
	list, err := call.Control(ctx, "read the audit", call.ReadTimeout, control.ListAudit, in.AuditQuery)
	if err != nil {
		return nil, call.Failure(err)
	}
	return list, nil
}
