package workers

import (
	"context"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/codec/refusal"
	"github.com/metacircular/mcp/workflows/tend"
)

// readableTime bounds the search for what is encrypted.
const readableTime = 5 * time.Second

// readable fails with the fault of a missing key if this process cannot decrypt what
// control workers have written last: the schedule that each of them keeps. Before the
// first control worker has run there is none, and the claim of a node or the first task
// shows what is wrong.
func readable(ctx context.Context, c client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, readableTime)
	defer cancel()
	_, err := c.ScheduleClient().GetHandle(ctx, tend.MonitorID).Describe(ctx)
	if unread := refusal.FaultOf(err); unread != nil {
		return unread
	}
	return nil
}

// CheckReadable is [readable], for doctor.
func CheckReadable(ctx context.Context, c client.Client) error { return readable(ctx, c) }
