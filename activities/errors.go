package activities

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fault"
)

// internalTries is how often in a row an error of kind Internal is tried
// again: nobody knows whether that helps, so it must not go on until the
// deadline. An outage in between starts the count anew.
const internalTries = 3

// persistent are the activities that a deploy cannot go on without, nor go
// back from: only a Conflict, which says that somebody else has taken over,
// ends them before their time is up.
var persistent = []string{"CutOver", "CommitRelease", "Retire", "Restore", "ReleasePorts", "FinishDeployment", "MarkMended", "MarkRevived"}

// ErrStopping is the cause with which a stopping worker ends the contexts of
// the activities that have not finished in time. They fail in a way that is
// retried, by the next worker.
var ErrStopping = fault.New(fault.Unavailable, "the worker is stopping")

// NewInterceptor translates, in one place, what an activity returns into what
// Temporal records: the fault as an application error whose type is its kind,
// not retried where time alone cannot mend it.
func NewInterceptor() interceptor.WorkerInterceptor {
	return &faultInterceptor{failures: map[string]int{}}
}

type faultInterceptor struct {
	interceptor.WorkerInterceptorBase
	mu sync.Mutex
	// failures counts, by activity, those of kind Internal in a row.
	failures map[string]int
}

func (i *faultInterceptor) InterceptActivity(ctx context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &faultActivity{interceptor.ActivityInboundInterceptorBase{Next: next}, i}
}

type faultActivity struct {
	interceptor.ActivityInboundInterceptorBase
	shared *faultInterceptor
}

func (a *faultActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	out, err := a.Next.ExecuteActivity(ctx, in)
	info := activity.GetInfo(ctx)
	if err == nil {
		a.shared.count(info, false)
		return out, nil
	}
	if errors.Is(context.Cause(ctx), ErrStopping) {
		return out, ToTemporal(ErrStopping, true)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return out, ctx.Err() // cancelled, or out of time: Temporal knows which
	}
	f := fault.Of(err)
	tries := a.shared.count(info, f.Kind == fault.Internal)
	return out, ToTemporal(f, retryable(f.Kind, tries, info.ActivityType.Name))
}

// count notes how an attempt ended, and returns how many in a row were
// Internal.
func (i *faultInterceptor) count(info activity.Info, internal bool) int {
	key := info.WorkflowExecution.RunID + "/" + info.ActivityID
	i.mu.Lock()
	defer i.mu.Unlock()
	if !internal {
		delete(i.failures, key)
		return 0
	}
	i.failures[key]++
	tries := i.failures[key]
	if tries >= internalTries {
		delete(i.failures, key)
	}
	return tries
}

// retryable reports whether another attempt of the activity may succeed.
func retryable(kind fault.Kind, internal int, activity string) bool {
	if slices.Contains(persistent, activity) {
		return kind != fault.Conflict
	}
	return kind.Retryable() && internal < internalTries
}

// ToTemporal makes the application error that carries a fault.
func ToTemporal(err error, retryable bool) error {
	f := fault.Of(err)
	return temporal.NewApplicationErrorWithOptions(f.Message, string(f.Kind), temporal.ApplicationErrorOptions{
		NonRetryable: !retryable,
		Details:      []any{*f},
	})
}

// FaultOf is the inverse of ToTemporal: the fault in what a workflow got from
// an activity, or a client from a workflow. A time-out that ended a series of
// retries gives the last failure; one of a first attempt, what that was doing.
func FaultOf(err error) *fault.Error {
	if err == nil {
		return nil
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		var f fault.Error
		if app.HasDetails() && app.Details(&f) == nil && f.Kind != "" {
			return &f
		}
		if kind := fault.Kind(app.Type()); kind.Exists() {
			return fault.New(kind, "%s", app.Message())
		}
		return fault.New(fault.Internal, "%s", app.Message())
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return timeoutFault(timeout)
	}
	return fault.Of(err)
}

// timeoutFault is that of an activity whose time was up before it had anything
// to tell but its heartbeats.
func timeoutFault(timeout *temporal.TimeoutError) *fault.Error {
	var last Progress
	if timeout.HasLastHeartbeatDetails() && timeout.LastHeartbeatDetails(&last) == nil && last.Phase != "" {
		return fault.New(fault.Unavailable, "no answer in time; the last that was heard: %s, %s", last.Phase, last.Detail)
	}
	return fault.New(fault.Unavailable, "no answer in time")
}
