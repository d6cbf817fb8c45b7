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
	// Output is what a task has printed lately; nil of other steps.
	Output *TaskOutput `json:"output,omitempty"`
}

// reporter sends the heartbeats of an activity that takes longer: a dead worker is
// noticed by their absence, and a cancellation arrives with the answer to one. They
// end when the work makes no progress, which its vigil decides.
type reporter struct {
	ctx   context.Context
	send  func(Progress)
	vigil *vigil
	mu    sync.Mutex
	last  Progress
	sent  bool // whether a heartbeat has reported last
}

// set changes what the next heartbeat reports. It may be called after the activity
// has ended, by work that goes on.
func (r *reporter) set(phase, detail string) { r.report(Progress{Phase: phase, Detail: detail}) }

// report is set with all that a heartbeat has.
func (r *reporter) report(now Progress) {
	r.vigil.enter(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if now != r.last {
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

// beats sends heartbeats until the activity ends, or its work is given up.
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
// also ends its context. Work that makes no progress is given up, with an error that
// is Unavailable, even if it does not return.
func reporting[T any](ctx context.Context, work func(ctx context.Context, r *reporter) (T, error)) (T, error) {
	return reportingTo(ctx, func(p Progress) { activity.RecordHeartbeat(ctx, p) }, work)
}

// reportingTo is reporting that sends its heartbeats elsewhere.
func reportingTo[T any](ctx context.Context, send func(Progress), work func(ctx context.Context, r *reporter) (T, error)) (T, error) {
	ctx, v, end := keepVigil(ctx)
	over := context.AfterFunc(ctx, v.hurry)
	defer over()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := context.AfterFunc(v.ctx, func() { cancel(context.Cause(v.ctx)) })
	defer stalled()
	r := &reporter{ctx: ctx, vigil: v, send: send}
	beaten := make(chan struct{})
	go func() {
		defer close(beaten)
		r.beats()
	}()
	done := make(chan outcome[T], 1)
	go func() {
		defer end()
		done <- try(func() (T, error) { return work(ctx, r) })
	}()
	var out outcome[T]
	select {
	case out = <-done:
	case <-v.ctx.Done():
		out.err = context.Cause(v.ctx)
	}
	cancel(nil)
	<-beaten
	return out.value, out.err
}
