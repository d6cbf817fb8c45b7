package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// heartbeatEvery is the interval of an activity's heartbeats. One without news, as
// of an activity that waits for a slot, is sent every other time: each heartbeat
// is a write in Temporal, and of a hundred components most wait. Twice this is a
// third of the shortest heartbeat timeout, so that a lost heartbeat does not time out
// the activity; it is also how long a cancellation may take to arrive.
const heartbeatEvery = 2500 * time.Millisecond

// firstHeartbeat is when the first one is sent. Most activities have ended by then.
const firstHeartbeat = time.Second

// Progress is what an activity reports in its heartbeats.
type Progress struct {
	// Phase is the current step: "pull", "start", "health", "build", "push".
	Phase string `json:"phase"`
	// Detail is the progress of the step: "STEP 3/7", "12.0MB / 48.1MB".
	Detail string `json:"detail,omitempty"`
}

// reporter sends the heartbeats of an activity that takes longer: a dead worker is
// noticed by their absence, and a cancellation arrives with the answer to one.
type reporter struct {
	ctx  context.Context
	send func(Progress)
	mu   sync.Mutex
	last Progress
	sent bool // whether a heartbeat has reported last
}

// set changes what the next heartbeat reports. It may be called after the activity
// has ended, by work that goes on.
func (r *reporter) set(phase, detail string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := (Progress{Phase: phase, Detail: detail}); now != r.last {
		r.last, r.sent = now, false
	}
}

// beat sends the progress. If the last heartbeat reported it already, beat skips this
// one, and the next is sent.
func (r *reporter) beat() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.sent {
		r.send(r.last)
	}
	r.sent = !r.sent
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

// reporting runs work with heartbeats, through which a cancellation of the activity
// also ends its context.
func reporting[T any](ctx context.Context, work func(ctx context.Context, r *reporter) (T, error)) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &reporter{ctx: ctx, send: func(p Progress) { activity.RecordHeartbeat(ctx, p) }}
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
