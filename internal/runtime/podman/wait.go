package podman

import (
	"context"
	"time"
)

// pollInterval is the time between two inspections of a container that is being waited
// for.
const pollInterval = 20 * time.Millisecond

// pause waits for one pollInterval.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pollInterval):
		return nil
	}
}
