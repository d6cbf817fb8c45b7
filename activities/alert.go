package activities

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/metacircular/mcp/internal/fault"
)

const (
	// tooLate is when nobody need be told of an event any more; it is still
	// among the events.
	tooLate = 24 * time.Hour
	// alertsAtOnce is how many events are read at once.
	alertsAtOnce = 100
)

// TellInput names a destination of alerts.
type TellInput struct {
	Destination string `json:"destination"`
}

// TellResult says what became of the alerts.
type TellResult struct {
	// Told counts the events that the last attempt has delivered.
	Told int `json:"told"`
	// Refused are those that the destination will never take, and why.
	Refused []string `json:"refused,omitempty"`
}

// Tell tells a destination of every event that it has not been told of, in the
// order in which they happened. It ends when there is none left. One that was
// delivered by an attempt that died is delivered again, with the same ID.
func (a *Control) Tell(ctx context.Context, in TellInput) (TellResult, error) {
	var result TellResult
	for {
		events, err := a.Registry.Alerts(ctx, in.Destination, alertsAtOnce)
		if err != nil || len(events) == 0 {
			return result, err
		}
		for _, e := range events {
			activity.RecordHeartbeat(ctx, result)
			to, ok := a.Alerts[in.Destination]
			if !ok {
				err = fault.New(fault.Invalid, "tell the %s: it is not configured any more", in.Destination)
			} else {
				err = to.Alert(ctx, e)
			}
			switch {
			case fault.Is(err, fault.Invalid):
				result.Refused = append(result.Refused, fmt.Sprintf("event %d: %s", e.ID, err))
			case err != nil:
				return result, err
			default:
				result.Told++
			}
			if err := a.Registry.MarkTold(ctx, in.Destination, e.ID); err != nil {
				return result, err
			}
		}
	}
}
