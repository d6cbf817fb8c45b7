package reads

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// EventsInput selects events.
type EventsInput struct {
	fleet.EventQuery
	// Since is how far back to read; 0 for no limit.
	Since time.Duration `json:"since,omitempty"`
}

// Events reads events, oldest first.
func Events(ctx workflow.Context, in EventsInput) ([]fleet.Event, error) {
	if in.Since > 0 {
		in.From = workflow.Now(ctx).Add(-in.Since) // events have the same clock
	}
	events, err := call.Control(ctx, "list events", call.ReadTimeout, control.ListEvents, in.EventQuery)
	if err != nil {
		return nil, call.Failure(err)
	}
	return events, nil
}
