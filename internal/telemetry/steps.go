package telemetry

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"github.com/metacircular/mcp/internal/fault"
)

const stepSeconds = "mcp_step_seconds"

// The outcomes of a step that are not kinds of fault.
const (
	succeeded = "succeeded"
	cancelled = "cancelled"
	late      = "late"
)

type steps struct {
	interceptor.WorkerInterceptorBase
	metrics *metrics
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (s *steps) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &step{interceptor.ActivityInboundInterceptorBase{Next: next}, s.metrics}
}

type step struct {
	interceptor.ActivityInboundInterceptorBase
	metrics *metrics
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor.
func (s *step) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	began, outcome := time.Now(), string(fault.Internal) // of a panic
	defer func() {
		labels := map[string]string{"activity": activity.GetInfo(ctx).ActivityType.Name, "outcome": outcome}
		s.metrics.histograms.with(stepSeconds, labels).Observe(time.Since(began).Seconds())
	}()
	out, err := s.Next.ExecuteActivity(ctx, in)
	outcome = outcomeOf(ctx, err)
	return out, err
}

// outcomeOf returns the outcome of an attempt: succeeded, cancelled, late or the
// kind of its fault.
func outcomeOf(ctx context.Context, err error) string {
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = context.Cause(ctx) // such as the stop of the worker
	}
	switch {
	case err == nil:
		return succeeded
	case errors.As(err, new(*fault.Error)):
		return string(fault.Of(err).Kind)
	case errors.Is(err, context.DeadlineExceeded):
		return late
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return cancelled
	}
	return string(fault.Internal)
}
