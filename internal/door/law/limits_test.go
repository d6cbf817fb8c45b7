package law

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/metacircular/mcp/internal/identity"
)

var rift = identity.Identity{Role: identity.Node, Name: "rift"}

// answering is a Temporal that answers every call with nothing, once it may.
type answering struct{ wait chan struct{} }

func (a answering) Invoke(ctx context.Context, _ string, _, _ any, _ ...grpc.CallOption) error {
	if a.wait == nil {
		return nil
	}
	select {
	case <-a.wait:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (answering) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "no streams")
}

func limited(limits Limits) func(*Options) {
	return func(o *Options) {
		o.Limits = map[identity.Role]Limits{identity.Node: limits, identity.Edge: limits}
	}
}

func describe(t *testing.T, conn *grpc.ClientConn) error {
	t.Helper()
	_, err := workflowservice.NewWorkflowServiceClient(conn).DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: "default"})
	return err
}

func TestCallsAreLimitedByIdentity(t *testing.T) {
	caller := rift
	l := newLaw(t, answering{}, limited(Limits{Calls: 0.001, Burst: 3}))
	conn := serve(t, l, &caller)
	for range 3 {
		require.NoError(t, describe(t, conn))
	}
	err := describe(t, conn)
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "the gateway refuses DescribeNamespace to node/rift")
	caller.Name = "orion"
	require.NoError(t, describe(t, conn), "another node")
	caller.Name, caller.Role = "rift", identity.Edge
	require.NoError(t, describe(t, conn), "an edge of that name")
	require.Equal(t, map[Refusal]int{{identity.Node, "DescribeNamespace", TooMuch}: 1}, l.Refusals())
}

func TestTheLogHasFewOfTheRefusalsOfAFlood(t *testing.T) {
	var log bytes.Buffer // one call after the other
	caller := rift
	l := newLaw(t, answering{}, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	conn := serve(t, l, &caller)
	const flood = 500
	for range flood {
		_, err := workflowservice.NewWorkflowServiceClient(conn).PollActivityTaskQueue(t.Context(), &workflowservice.PollActivityTaskQueueRequest{
			Namespace: "default", TaskQueue: &taskqueue.TaskQueue{Name: "node-orion"},
		})
		require.Error(t, err)
	}
	require.Equal(t, flood, l.Refusals()[Refusal{identity.Node, "PollActivityTaskQueue", ForeignQueue}])
	require.Less(t, strings.Count(log.String(), "\n"), flood/2)
}

func TestBytesAreLimitedByIdentity(t *testing.T) {
	caller := rift
	conn := serve(t, newLaw(t, answering{}, limited(Limits{Bytes: 0.001, BytesBurst: 3000, Largest: 1500})), &caller)
	heartbeat := func(size int) error {
		_, err := workflowservice.NewWorkflowServiceClient(conn).GetSystemInfo(t.Context(), &workflowservice.GetSystemInfoRequest{})
		require.NoError(t, err, "a request without a size")
		_, err = workflowservice.NewWorkflowServiceClient(conn).DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{
			Namespace: string(make([]byte, size)),
		})
		return err
	}
	require.Equal(t, codes.InvalidArgument, status.Code(heartbeat(1600)), "one that is too large, which no repetition makes smaller")
	require.Equal(t, codes.PermissionDenied, status.Code(heartbeat(1400)), "another namespace")
	require.Equal(t, codes.PermissionDenied, status.Code(heartbeat(1400)))
	require.Equal(t, codes.ResourceExhausted, status.Code(heartbeat(1400)), "too much together")
}

func TestCallsUnderWayAreLimitedByIdentity(t *testing.T) {
	caller := rift
	up := answering{make(chan struct{})}
	conn := serve(t, newLaw(t, up, limited(Limits{Waiting: 2})), &caller)
	poll := func() error {
		_, err := workflowservice.NewWorkflowServiceClient(conn).PollActivityTaskQueue(t.Context(), &workflowservice.PollActivityTaskQueueRequest{
			Namespace: "default", TaskQueue: &taskqueue.TaskQueue{Name: "node-rift"},
		})
		return err
	}
	ended := make(chan error, 3)
	for range 3 {
		go func() { ended <- poll() }()
	}
	require.Equal(t, codes.ResourceExhausted, status.Code(<-ended), "the third of three that wait")
	close(up.wait)
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
	require.NoError(t, poll())
}
