package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// heartbeatEvery is less than a third of the shortest heartbeat timeout, so
// that a lost heartbeat or two is no lost activity. It is also how long a
// cancel may wait to be heard.
const heartbeatEvery = 2 * time.Second

// Progress is what an activity tells while it runs; it travels in heartbeats.
type Progress struct {
	// Phase is what it is doing: "pull", "create", "health", "build", "push".
	Phase string `json:"phase"`
	// Detail is how far it is: "STEP 3/7", "12.0MB / 48.1MB".
	Detail string `json:"detail,omitempty"`
}

// reporter sends heartbeats: at every change of phase, and from a ticker in
// between, because that is how a dead worker is noticed and how cancellation
// arrives.
type reporter struct {
	ctx  context.Context
	mu   sync.Mutex
	last Progress
}

// set changes what the next heartbeats say. It may come late, from what goes
// on after the activity has ended.
func (r *reporter) set(phase, detail string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return
	}
	r.last = Progress{Phase: phase, Detail: detail}
	activity.RecordHeartbeat(r.ctx, r.last) // the SDK batches these
}

// reporting runs work with a heartbeat, through which it is also told when the
// activity is cancelled.
func reporting[T any](ctx context.Context, work func(ctx context.Context, r *reporter) (T, error)) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &reporter{ctx: ctx}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(heartbeatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				r.mu.Lock()
				activity.RecordHeartbeat(ctx, r.last)
				r.mu.Unlock()
			}
		}
	}()
	out, err := work(ctx, r)
	cancel()
	<-stopped
	return out, err
}
