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

// firstHeartbeat is after how long an activity tells of itself. Most have ended by
// then, and each heartbeat is a write of Temporal's.
const firstHeartbeat = time.Second

// Progress is what an activity tells while it runs; it travels in heartbeats.
type Progress struct {
	// Phase is what it is doing: "pull", "create", "health", "build", "push".
	Phase string `json:"phase"`
	// Detail is how far it is: "STEP 3/7", "12.0MB / 48.1MB".
	Detail string `json:"detail,omitempty"`
}

// reporter sends heartbeats, once an activity takes longer: at every change of
// phase, and from a ticker in between, because that is how a dead worker is noticed
// and how cancellation arrives.
type reporter struct {
	ctx    context.Context
	mu     sync.Mutex
	last   Progress
	longer bool
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
	if r.longer {
		activity.RecordHeartbeat(r.ctx, r.last) // the SDK batches these
	}
}

// beat sends what there is to tell.
func (r *reporter) beat() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.longer = true
	activity.RecordHeartbeat(r.ctx, r.last)
}

// beats sends heartbeats until the activity ends.
func (r *reporter) beats() {
	pause := time.NewTimer(firstHeartbeat)
	defer pause.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-pause.C:
			r.beat()
			pause.Reset(heartbeatEvery)
		}
	}
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
		r.beats()
	}()
	out, err := work(ctx, r)
	cancel()
	<-stopped
	return out, err
}
