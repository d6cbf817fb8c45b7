package attempt

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/codec/refusal"
	"github.com/metacircular/mcp/internal/fault"
)

// internalTries is how often in a row an attempt may end with an error of kind
// Internal. Whether a retry helps is unknown, so it must not go on until the
// deadline. An outage in between resets the count.
const internalTries = 3

// persistent are the activities that a deploy can neither go on without nor go
// back from: only a Conflict, which means that a newer deployment has taken over,
// ends them before their deadline.
var persistent = []string{"CutOver", "CommitRelease", "Retire", "Restore", "StopTask", "RemoveTask", "ReleasePorts", "FinishDeployment", "MarkMended", "MarkRevived", "EndRun"}

// ErrStopping is the cause with which a stopping worker ends the contexts of
// the activities that have not finished in time. The next worker retries them.
var ErrStopping = fault.New(fault.Unavailable, "the worker is stopping")

// NewInterceptor translates, in one place, what an activity returns into what
// Temporal records: the fault as an application error whose type is its kind,
// not retried if the same call cannot succeed later.
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
	if lost := outage(ctx); lost != nil && errors.Is(err, ctx.Err()) {
		return out, ToTemporal(lost, true)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return out, ctx.Err() // cancelled, or timed out: Temporal records which
	}
	f := fault.Of(err)
	tries := a.shared.count(info, f.Kind == fault.Internal)
	lasting := errors.As(err, new(*lastingError))
	return out, ToTemporal(f, !lasting && retryable(f.Kind, tries, info.ActivityType.Name))
}

// lastingError ends an activity that is persistent: its caller does not wait for what a
// retry would need.
type lastingError struct{ err error }

// Lasting returns an error that ends even an activity that is persistent.
func Lasting(err error) error { return &lastingError{err} }

func (e *lastingError) Error() string { return e.err.Error() }
func (e *lastingError) Unwrap() error { return e.err }

// outage returns the fault of an attempt whose context ended because Temporal did not
// take its heartbeats; nil if it ended for another reason, or not at all.
func outage(ctx context.Context) *fault.Error {
	var refused serviceerror.ServiceError
	if ctx.Err() == nil || !errors.As(context.Cause(ctx), &refused) {
		return nil
	}
	return fault.Wrap(fault.Unavailable, refused, "report progress to Temporal")
}

// count records how an attempt ended, and returns how many in a row were
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

// FaultOf is the inverse of ToTemporal: the fault in the error that a workflow got
// from an activity, or a client from a workflow. That of a timeout after retries is
// the last failure; that of a timeout of a first attempt names its last progress.
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
	if unread := refusal.FaultOf(err); unread != nil {
		return unread
	}
	return fault.Of(err)
}

// timeoutFault is the fault of an activity that timed out after it reported nothing
// but heartbeats.
func timeoutFault(timeout *temporal.TimeoutError) *fault.Error {
	var last Progress
	if timeout.HasLastHeartbeatDetails() && timeout.LastHeartbeatDetails(&last) == nil && last.Phase != "" {
		return fault.New(fault.Unavailable, "no answer in time; the last progress: %s, %s", last.Phase, last.Detail)
	}
	return fault.New(fault.Unavailable, "no answer in time")
}
