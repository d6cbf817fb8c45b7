package telemetry

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
)

func TestOutcomeOf(t *testing.T) {
	stopped, stop := context.WithCancelCause(t.Context())
	stop(fault.New(fault.Unavailable, "the worker is stopping"))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	over, end := context.WithDeadline(t.Context(), time.Now())
	defer end()
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
		want string
	}{
		{"no error", gone, nil, "succeeded"},
		{"a fault", t.Context(), fmt.Errorf("run: %w", fault.New(fault.Unhealthy, "exited")), "Unhealthy"},
		{"a fault although it was cancelled", gone, fault.New(fault.NotFound, "no image"), "NotFound"},
		{"an untyped error", t.Context(), errors.New("boom"), "Internal"},
		{"a cancellation", gone, fmt.Errorf("pull: %w", context.Canceled), "cancelled"},
		{"a deadline", over, context.DeadlineExceeded, "late"},
		{"the worker stops", stopped, context.Canceled, "Unavailable"},
		{"a cancellation of another context", t.Context(), context.Canceled, "Internal"},
	} {
		t.Run(test.name, func(t *testing.T) { require.Equal(t, test.want, outcomeOf(test.ctx, test.err)) })
	}
}

func TestPolling(t *testing.T) {
	queue := Queue{Name: "node-rift"}
	refused := errors.New("connection refused")
	for _, test := range []struct {
		name string
		do   func(p *polls)
		want string
	}{
		{"not polled", func(*polls) {}, "it has not been polled yet"},
		{"waiting", func(p *polls) { p.begin(queue) }, ""},
		{"polled for tasks of the other kind", func(p *polls) { p.begin(Queue{queue.Name, true}) }, "it has not been polled yet"},
		{"busy with a task", func(p *polls) { p.end(t.Context(), queue, p.begin(queue), nil) }, ""},
		{"refused", func(p *polls) { p.end(t.Context(), queue, p.begin(queue), refused) }, "the last poll failed: connection refused"},
		{"refused, and just retried", func(p *polls) {
			p.end(t.Context(), queue, p.begin(queue), refused)
			p.begin(queue)
		}, "the last poll failed: connection refused"},
		{"refused, and waiting again for a minute", func(p *polls) {
			p.end(t.Context(), queue, p.begin(queue), refused)
			*p.begin(queue) = time.Now().Add(-time.Minute)
		}, ""},
		{"cancelled by this process", func(p *polls) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			p.end(ctx, queue, p.begin(queue), context.Canceled)
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPolls()
			test.do(p)
			err := p.polling(queue, time.Now())
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.want)
		})
	}
}
