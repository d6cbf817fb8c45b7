package attempt

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// heartbeatEvery is the interval of an activity's heartbeats. One without news, such as
// that of an activity that waits for a slot, is sent every other time: each heartbeat
// is a write in Temporal, and most of a hundred components wait. Twice this is a
// third of the shortest heartbeat timeout, so that a lost heartbeat does not time out
// the activity; it is also how long a cancellation may take to arrive.
const heartbeatEvery = 2500 * time.Millisecond

// firstHeartbeat is when the first one is sent. Most activities have ended by then.
const firstHeartbeat = time.Second

// Reporter sends the heartbeats of an activity that takes longer: a dead worker is
// noticed by their absence, and a cancellation arrives with the answer to one. They
// end when the work makes no progress, which its vigil decides.
type Reporter struct {
	ctx   context.Context
	send  func(Progress)
	vigil *Vigil
	mu    sync.Mutex
	last  Progress
	sent  bool // whether a heartbeat has reported last
}

// Set changes what the next heartbeat reports. It may be called after the activity
// has ended, by work that goes on.
func (r *Reporter) Set(phase, detail string) { r.Report(Progress{Phase: phase, Detail: detail}) }

// Report is Set with all that a heartbeat contains.
func (r *Reporter) Report(now Progress) {
	r.vigil.enter(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if now != r.last {
		r.last, r.sent = now, false
	}
}

// beat sends the progress. If the last heartbeat reported it already, beat skips this
// one, and the next is sent.
func (r *Reporter) beat() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.sent {
		r.send(r.last)
	}
	r.sent = !r.sent
}

// beats sends heartbeats until the activity ends, or its work is given up.
func (r *Reporter) beats() {
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

// Reporting runs work with heartbeats, through which a cancellation of the activity
// also ends its context. Work that makes no progress is given up, with an error that
// is Unavailable, even if it does not return.
func Reporting[T any](ctx context.Context, work func(ctx context.Context, r *Reporter) (T, error)) (T, error) {
	return ReportingTo(ctx, func(p Progress) { activity.RecordHeartbeat(ctx, p) }, work)
}

// ReportingTo is Reporting that sends its heartbeats elsewhere.
func ReportingTo[T any](ctx context.Context, send func(Progress), work func(ctx context.Context, r *Reporter) (T, error)) (T, error) {
	ctx, v, end := KeepVigil(ctx)
	over := context.AfterFunc(ctx, v.hurry)
	defer over()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := context.AfterFunc(v.ctx, func() { cancel(context.Cause(v.ctx)) })
	defer stalled()
	r := &Reporter{ctx: ctx, vigil: v, send: send}
	beaten := make(chan struct{})
	go func() {
		defer close(beaten)
		r.beats()
	}()
	done := make(chan Outcome[T], 1)
	go func() {
		defer end()
		done <- Try(func() (T, error) { return work(ctx, r) })
	}()
	var out Outcome[T]
	select {
	case out = <-done:
	case <-v.ctx.Done():
		out.Err = context.Cause(v.ctx)
	}
	cancel(nil)
	<-beaten
	return out.Value, out.Err
}
