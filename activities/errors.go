package activities

import (
	"context"
	"errors"
	"slices"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fault"
)

// internalAttempts is how often an error of kind Internal is tried again:
// nobody knows whether that helps, so it must not go on until the deadline.
const internalAttempts = 3

// NewInterceptor translates, in one place, what an activity returns into what
// Temporal records: the fault as an application error whose type is its kind,
// not retried where time alone cannot mend it.
func NewInterceptor() interceptor.WorkerInterceptor { return &faultInterceptor{} }

type faultInterceptor struct {
	interceptor.WorkerInterceptorBase
}

func (i *faultInterceptor) InterceptActivity(ctx context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &faultActivity{interceptor.ActivityInboundInterceptorBase{Next: next}}
}

type faultActivity struct {
	interceptor.ActivityInboundInterceptorBase
}

func (a *faultActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	out, err := a.Next.ExecuteActivity(ctx, in)
	if err == nil {
		return out, nil
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return out, ctx.Err() // cancelled, or out of time: Temporal knows which
	}
	return out, ToTemporal(err, activity.GetInfo(ctx).Attempt)
}

// ToTemporal makes the application error that carries a fault. Attempt is the
// number of the attempt that failed, from 1.
func ToTemporal(err error, attempt int32) error {
	f := fault.Of(err)
	retryable := f.Kind.Retryable() && (f.Kind != fault.Internal || attempt < internalAttempts)
	return temporal.NewApplicationErrorWithOptions(f.Message, string(f.Kind), temporal.ApplicationErrorOptions{
		NonRetryable: !retryable,
		Details:      []any{*f},
	})
}

// FaultOf is the inverse of ToTemporal: the fault in what a workflow got from
// an activity, or a client from a workflow. A time-out that ended a series of
// retries gives the last failure.
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
		if kind := fault.Kind(app.Type()); slices.Contains(kinds, kind) {
			return fault.New(kind, "%s", app.Message())
		}
		return fault.New(fault.Internal, "%s", app.Message())
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return fault.New(fault.Unavailable, "%s", timeout.Message())
	}
	return fault.Of(err)
}

var kinds = []fault.Kind{
	fault.NotFound, fault.Conflict, fault.PortInUse, fault.Unauthorized,
	fault.Unavailable, fault.Invalid, fault.Unhealthy, fault.Internal,
}
