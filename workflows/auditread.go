package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
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
	list, err := callControl(ctx, "read the audit", readTimeout, control.ListAudit, in.AuditQuery)
	if err != nil {
		return nil, readFailure(err)
	}
	return list, nil
}
