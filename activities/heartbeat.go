package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// heartbeatEvery is how often an activity tells what is new. Who has nothing new to
// tell, as one that waits for its turn, leaves out every other time: each heartbeat
// is a write of Temporal's, and of a hundred components most wait. Twice this is a
// third of the shortest heartbeat timeout, so that a lost heartbeat is no lost
// activity; it is also how long a cancel may wait to be heard.
const heartbeatEvery = 2500 * time.Millisecond

// firstHeartbeat is after how long an activity tells of itself. Most have ended by
// then.
const firstHeartbeat = time.Second

// Progress is what an activity tells while it runs; it travels in heartbeats.
type Progress struct {
	// Phase is what it is doing: "pull", "create", "health", "build", "push".
	Phase string `json:"phase"`
	// Detail is how far it is: "STEP 3/7", "12.0MB / 48.1MB".
	Detail string `json:"detail,omitempty"`
}

// reporter sends heartbeats, once an activity takes longer, because that is how a
// dead worker is noticed and how cancellation arrives.
type reporter struct {
	ctx  context.Context
	send func(Progress)
	mu   sync.Mutex
	last Progress
	told bool // whether a heartbeat has told of last
}

// set changes what the next heartbeat says. It may come late, from what goes
// on after the activity has ended.
func (r *reporter) set(phase, detail string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := (Progress{Phase: phase, Detail: detail}); now != r.last {
		r.last, r.told = now, false
	}
}

// beat sends what there is to tell. Where that was told by the last heartbeat, it
// leaves this one out, and the next has to be sent.
func (r *reporter) beat() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.told {
		r.send(r.last)
	}
	r.told = !r.told
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
