package session

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// greeted is a Temporal that answers two calls, as a test has it.
type greeted struct {
	workflowservice.UnimplementedWorkflowServiceServer
	info, describe func(context.Context) error
}

func (g *greeted) GetSystemInfo(ctx context.Context, _ *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{ServerVersion: "1.2.3"}, g.info(ctx)
}

func (g *greeted) DescribeWorkflowExecution(ctx context.Context, _ *workflowservice.DescribeWorkflowExecutionRequest) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return &workflowservice.DescribeWorkflowExecutionResponse{}, g.describe(ctx)
}

var errExplained = errors.New("explained")

// connect connects to it as a command does.
func (g *greeted) connect(t *testing.T, within time.Duration) client.Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	workflowservice.RegisterWorkflowServiceServer(server, g)
	go func() { _ = server.Serve(listener) }() // Stop ends it
	t.Cleanup(server.Stop)
	greets := newGreeting(t.Context(), within, func(_ context.Context, err error) error { return errors.Join(errExplained, err) })
	o := client.Options{HostPort: listener.Addr().String(), Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))}
	o.ConnectionOptions.DialOptions = []grpc.DialOption{grpc.WithUnaryInterceptor(greets.intercept)}
	c, err := client.NewLazyClient(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// atOnce and never are answers.
func atOnce(context.Context) error { return nil }

func never(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestTheFirstCallDoesNotWaitForTheGreeting(t *testing.T) {
	called := make(chan struct{})
	g := &greeted{
		info: func(ctx context.Context) error {
			select {
			case <-called:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		describe: func(context.Context) error {
			close(called)
			return nil
		},
	}
	c := g.connect(t, time.Minute)
	_, err := c.DescribeWorkflowExecution(t.Context(), "deploy/shop", "")
	require.NoError(t, err)
	info, err := c.WorkflowService().GetSystemInfo(t.Context(), &workflowservice.GetSystemInfoRequest{})
	require.NoError(t, err)
	require.Equal(t, "1.2.3", info.GetServerVersion(), "who asks gets the server's own answer")
}

func TestAServerThatDoesNotAnswerEndsTheFirstCall(t *testing.T) {
	for name, info := range map[string]func(context.Context, <-chan struct{}) error{
		"it is silent": func(ctx context.Context, _ <-chan struct{}) error { return never(ctx) },
		"it refuses": func(ctx context.Context, called <-chan struct{}) error {
			select {
			case <-called:
			case <-ctx.Done():
			}
			return status.Error(codes.Unavailable, "no upstream")
		},
	} {
		t.Run(name, func(t *testing.T) {
			called := make(chan struct{})
			g := &greeted{info: func(ctx context.Context) error { return info(ctx, called) }, describe: func(ctx context.Context) error {
				close(called)
				return never(ctx)
			}}
			_, err := g.connect(t, time.Second).DescribeWorkflowExecution(t.Context(), "deploy/shop", "")
			require.ErrorIs(t, err, errExplained)
		})
	}
}

func TestAGreetingThatFailsLateEndsNothing(t *testing.T) {
	failed := make(chan struct{})
	g := &greeted{describe: atOnce, info: func(ctx context.Context) error {
		select {
		case <-failed:
		case <-ctx.Done():
		}
		return status.Error(codes.Unavailable, "no upstream")
	}}
	c := g.connect(t, time.Minute)
	for range 2 {
		_, err := c.DescribeWorkflowExecution(t.Context(), "deploy/shop", "")
		require.NoError(t, err)
		select {
		case <-failed:
		default:
			close(failed)
			_, err = c.WorkflowService().GetSystemInfo(t.Context(), &workflowservice.GetSystemInfoRequest{})
			require.Error(t, err)
		}
	}
}

func TestWhatIsRefusedIsNoMatterOfTheGreeting(t *testing.T) {
	c := (&greeted{info: atOnce, describe: func(context.Context) error { return status.Error(codes.PermissionDenied, "not yours") }}).connect(t, time.Minute)
	_, err := c.DescribeWorkflowExecution(t.Context(), "deploy/shop", "")
	require.ErrorContains(t, err, "not yours")
	require.NotErrorIs(t, err, errExplained)
}

func TestAnInterruptedCallIsNoMatterOfTheGreeting(t *testing.T) {
	c := (&greeted{info: atOnce, describe: never}).connect(t, time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := c.DescribeWorkflowExecution(ctx, "deploy/shop", "")
	require.Error(t, err)
	require.NotErrorIs(t, err, errExplained)
}
