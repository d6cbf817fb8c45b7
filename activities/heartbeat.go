package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/metacircular/mcp/internal/fault"
)

// heartbeatEvery is a third of the shortest heartbeat timeout, so that one
// lost heartbeat is no lost activity.
const heartbeatEvery = 4 * time.Second

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

// errStopping is the cause of a context that a stopping worker ended.
var errStopping = fault.New(fault.Unavailable, "the worker is stopping")

// reporting runs work with a heartbeat. The work's context ends when the
// activity is cancelled, and also when the worker has to stop: then the
// activity fails in a way that is retried, by the next worker.
func reporting[T any](ctx context.Context, work func(ctx context.Context, r *reporter) (T, error)) (T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
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
			case <-activity.GetWorkerStopChannel(ctx):
				cancel(errStopping)
				return
			case <-ticker.C:
				r.mu.Lock()
				activity.RecordHeartbeat(ctx, r.last)
				r.mu.Unlock()
			}
		}
	}()
	out, err := work(ctx, r)
	if err != nil && errors.Is(context.Cause(ctx), errStopping) {
		err = errStopping
	}
	cancel(nil)
	<-stopped
	return out, err
}
