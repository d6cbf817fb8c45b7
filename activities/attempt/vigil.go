package attempt

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

const (
	// Patience is how long work may report no progress. The engine's own bounds are
	// shorter, and their errors name the call.
	Patience = 90 * time.Second
	// copyPatience is that of a push or a pull, of which podman reports each layer,
	// and buildPatience that of a build, whose steps may print nothing for long.
	copyPatience, buildPatience = 12 * time.Minute, 32 * time.Minute
)

// patienceOf returns the patience with a phase of an activity; 0, for no limit, if it
// waits for others, which have one.
func patienceOf(phase string) time.Duration {
	switch phase {
	case "wait":
		return 0
	case "pull", "push":
		return copyPatience
	case "build":
		return buildPatience
	}
	return Patience
}

// Vigil watches the work of one attempt of an activity. Its context ends when the work
// has reported no progress for as long as its patience allows. Work that hangs in a
// call that cannot be interrupted is then given up: the attempt ends, and what it held
// is free for the next one.
type Vigil struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	timer    *time.Timer
	patience time.Duration
	extra    time.Duration // beyond patience
	hurried  bool          // the attempt is over
	work     int           // how many parts of the work have not ended
	last     Progress
}

type vigilKey struct{}

// KeepVigil returns the vigil over the work of ctx, or begins one. The work reports
// progress through the context, as an engine's calls do. Each call adds a part, which
// ends when end is called; when all have ended, so does the vigil.
func KeepVigil(ctx context.Context) (watched context.Context, v *Vigil, end func()) {
	v, ok := ctx.Value(vigilKey{}).(*Vigil)
	if !ok {
		v = &Vigil{patience: Patience}
		v.ctx, v.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
		v.timer = time.AfterFunc(v.patience, v.stall)
		ctx = runtime.WithProgress(context.WithValue(ctx, vigilKey{}, v), v.progress)
	}
	v.mu.Lock()
	v.work++
	v.mu.Unlock()
	return ctx, v, sync.OnceFunc(v.end)
}

// Context ends when the work is given up, with the reason as its cause.
func (v *Vigil) Context() context.Context { return v.ctx }

// Allow gives the work of ctx that much more time without progress: as long as a
// container may take to stop, or a command to run.
func Allow(ctx context.Context, extra time.Duration) {
	if v, ok := ctx.Value(vigilKey{}).(*Vigil); ok {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.extra = max(v.extra, extra)
		v.reset()
	}
}

// Progressed reports progress of work that makes no call of an engine.
func Progressed(ctx context.Context) { runtime.Progress(ctx)() }

// enter records the phase that the work is in, which is progress.
func (v *Vigil) enter(p Progress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = p
	if !v.hurried {
		v.patience = patienceOf(p.Phase)
	}
	v.reset()
}

// hurry leaves work whose attempt is over the time to end its current call.
func (v *Vigil) hurry() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.patience, v.hurried = Patience, true
	v.reset()
}

func (v *Vigil) progress() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reset()
}

// reset begins to wait again; the caller holds the lock.
func (v *Vigil) reset() {
	if v.work == 0 {
		return
	}
	limit := time.Duration(math.MaxInt64)
	if v.patience > 0 {
		limit = v.patience + v.extra
	}
	v.timer.Reset(limit)
}

func (v *Vigil) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.work--; v.work == 0 {
		v.timer.Stop()
	}
}

// stall gives the work up.
func (v *Vigil) stall() {
	v.mu.Lock()
	text := fmt.Sprintf("no progress within %s", v.patience+v.extra)
	if v.last.Phase != "" {
		text += fmt.Sprintf("; the last one: %s, %s", v.last.Phase, v.last.Detail)
	}
	v.mu.Unlock()
	v.cancel(fault.New(fault.Unavailable, "%s", text))
}

// Outcome is what work has returned.
type Outcome[T any] struct {
	Value T
	Err   error
}

// Try runs work, and returns a panic as an error: in a goroutine of its own it would
// end the worker.
func Try[T any](work func() (T, error)) (out Outcome[T]) {
	defer func() {
		if p := recover(); p != nil {
			out.Err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	out.Value, out.Err = work()
	return out
}
