package workers_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/telemetry"
)

// Temporal restarts, or is overloaded, while an activity reports its progress: the
// activity goes on, and its first attempt is the only one.
func TestAHeartbeatThatTemporalMissesEndsNoActivity(t *testing.T) {
	p := &platform{dir: t.TempDir()}
	require.NoError(t, p.startTemporal(t.Context()))
	t.Cleanup(func() { p.temporal.Stop() })
	for name, miss := range map[string]func(ctx context.Context) error{
		"refused":  func(context.Context) error { return status.Error(codes.Unavailable, "it restarts") },
		"hanging":  func(ctx context.Context) error { <-ctx.Done(); return status.FromContextError(ctx.Err()).Err() },
		"too many": func(context.Context) error { return status.Error(codes.ResourceExhausted, "it is overloaded") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var missed atomic.Int32
			o := config.Tuned(client.Options{HostPort: p.temporal.Address(), Logger: sdklog.NewStructuredLogger(quiet)})
			o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(
				func(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
					if _, beat := in.(*workflowservice.RecordActivityTaskHeartbeatRequest); beat {
						defer missed.Add(1)
						return miss(ctx)
					}
					return invoke(ctx, method, in, out, cc, o...)
				}))
			c, err := telemetry.New("test").Connect(o)
			require.NoError(t, err)
			defer c.Close()
			w := worker.New(c, t.Name(), worker.Options{MaxHeartbeatThrottleInterval: 100 * time.Millisecond})
			const misses = 3
			build := func(ctx context.Context) (int32, error) {
				for missed.Load() < misses {
					activity.RecordHeartbeat(ctx)
					select {
					case <-ctx.Done():
						return 0, context.Cause(ctx)
					case <-time.After(50 * time.Millisecond):
					}
				}
				return activity.GetInfo(ctx).Attempt, ctx.Err()
			}
			w.RegisterActivityWithOptions(build, activity.RegisterOptions{Name: "Build"})
			w.RegisterWorkflowWithOptions(func(ctx workflow.Context) (attempt int32, err error) {
				ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Hour, HeartbeatTimeout: time.Minute})
				err = workflow.ExecuteActivity(ctx, "Build").Get(ctx, &attempt)
				return attempt, err
			}, workflow.RegisterOptions{Name: "Once"})
			require.NoError(t, w.Start())
			defer w.Stop()
			run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: t.Name()}, "Once")
			require.NoError(t, err)
			var attempt int32
			require.NoError(t, run.Get(t.Context(), &attempt))
			require.Equal(t, int32(1), attempt)
		})
	}
}
