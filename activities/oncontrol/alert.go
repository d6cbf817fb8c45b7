package oncontrol

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/metacircular/mcp/internal/fault"
)

const (
	// tooLate is the age at which an event is no longer worth an alert; it is still
	// listed among the events.
	tooLate = 24 * time.Hour
	// alertsAtOnce is how many events are read at once.
	alertsAtOnce = 100
)

// DeliverInput names a destination of alerts.
type DeliverInput struct {
	Destination string `json:"destination"`
}

// DeliverResult is what became of the alerts.
type DeliverResult struct {
	// Delivered counts the events that the last attempt delivered.
	Delivered int `json:"delivered"`
	// Refused are those that the destination will never accept, and why.
	Refused []string `json:"refused,omitempty"`
}

// Deliver sends to a destination every event that it has yet to get, in the order
// in which they happened, until none is left. One that was delivered by an attempt
// that died is delivered again, with the same ID.
func (a *Control) Deliver(ctx context.Context, in DeliverInput) (DeliverResult, error) {
	var result DeliverResult
	for {
		events, err := a.Registry.Alerts(ctx, in.Destination, alertsAtOnce)
		if err != nil || len(events) == 0 {
			return result, err
		}
		for _, e := range events {
			activity.RecordHeartbeat(ctx, result)
			to, ok := a.Alerts[in.Destination]
			if !ok {
				err = fault.New(fault.Invalid, "deliver to the %s: it is not configured any more", in.Destination)
			} else {
				err = to.Alert(ctx, e)
			}
			switch {
			case fault.Is(err, fault.Invalid):
				result.Refused = append(result.Refused, fmt.Sprintf("event %d: %s", e.ID, err))
			case err != nil:
				return result, err
			default:
				result.Delivered++
			}
			if err := a.Registry.MarkDelivered(ctx, in.Destination, e.ID); err != nil {
				return result, err
			}
		}
	}
}
