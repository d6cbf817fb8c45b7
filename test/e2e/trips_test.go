package e2e

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	googleproto "google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/workflows"
)

// TestRoundTrips counts how often a command waits for an answer of the control plane where
// the link between them is slower than everything else. The connection itself takes its own:
// one for TCP, one for TLS, and one for the settings of HTTP/2.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("far", w.service("far", "v1", ""))
	w.deploy("far")
	w.source("v2", "")
	w.define("far", w.service("far", "v2", ""))
	require.Zero(t, w.mcp("build", "far").code)
	link := w.throughLink()

	for _, of := range []struct {
		most int
		args []string
	}{
		{2, []string{"plan", "far"}},
		{2, []string{"deploy", "far"}},           // it replaces a container
		{2, []string{"deploy", "far", "--json"}}, // it changes nothing
		{2, []string{"status", "far"}},
		{2, []string{"history", "far"}},
		{2, []string{"logs", "far"}},
		{4, []string{"rollback", "far"}},
		{2, []string{"exec", "far/app", "--", "/app", "say", "far", "0"}},
	} {
		t.Run(strings.Join(of.args, " "), func(t *testing.T) {
			link.begin()
			r := w.mcp(of.args...)
			require.Zero(t, r.code, r)
			trips, calls := link.count()
			t.Logf("%d round trips: %s", trips, strings.Join(calls, ", "))
			require.LessOrEqual(t, trips, of.most, calls)
		})
	}
}

// slowLink passes calls on to Temporal, and counts the round trips of a command: a call
// that is made after the answer of another one is one more than that. It holds an answer
// back until the calls have come that do not need it: on a slow link they are on their way
// meanwhile.
type slowLink struct {
	upstream *grpc.ClientConn
	temporal client.Client

	mu    sync.Mutex
	calls []string
	trips int           // of the answers so far
	start chan struct{} // closed when a workflow has been asked for
	close chan struct{} // closed when the end of a workflow has been asked for
}

// throughLink makes w reach Temporal over a slow link, and leaves it no sources: it builds
// nothing.
func (w *world) throughLink() *slowLink {
	w.t.Helper()
	info := shared.platform.Info()
	upstream, err := grpc.NewClient(info.Temporal, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(w.t, err)
	l := &slowLink{upstream: upstream, temporal: w.temporal()}
	l.begin()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	server := grpc.NewServer(grpc.UnknownServiceHandler(l.pass), grpc.ForceServerCodecV2(asIs{}))
	go func() { _ = server.Serve(listener) }() // Stop ends it
	w.t.Cleanup(func() {
		server.Stop()
		_ = upstream.Close()
	})
	w.configure(fmt.Sprintf("services = %q", w.services), "[temporal]", fmt.Sprintf("address = %q", listener.Addr()), encryptionKeys(),
		"[image_registry]", fmt.Sprintf("insecure = [%q]", info.ImageRegistry))
	return l
}

// begin begins to count for another command.
func (l *slowLink) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls, l.trips, l.start, l.close = nil, 0, make(chan struct{}), make(chan struct{})
}

// count returns the round trips since begin, and the calls, each with its number.
func (l *slowLink) count() (trips int, calls []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trips, slices.Clone(l.calls)
}

// asIs is a codec for messages that are passed on as they are.
type asIs struct{}

func (asIs) Name() string { return proto.Name }

func (asIs) Marshal(v any) (mem.BufferSlice, error) { return *v.(*mem.BufferSlice), nil }

func (asIs) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*mem.BufferSlice) = mem.BufferSlice{mem.SliceBuffer(data.Materialize())}
	return nil
}

// pass passes one call on.
func (l *slowLink) pass(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	var in, out mem.BufferSlice
	if err := stream.RecvMsg(&in); err != nil {
		return err
	}
	trip, until := l.arrived(method, in.Materialize())
	ctx := stream.Context()
	given, _ := metadata.FromIncomingContext(ctx)
	kept := metadata.MD{}
	for name, values := range given {
		if !strings.HasPrefix(name, ":") && !strings.HasPrefix(name, "grpc-") && name != "content-type" && name != "user-agent" {
			kept[name] = values
		}
	}
	err := l.upstream.Invoke(metadata.NewOutgoingContext(ctx, kept), method, &in, &out, grpc.ForceCodecV2(asIs{}))
	if err := until(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	l.trips = max(l.trips, trip)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return stream.SendMsg(&out)
}

// arrived returns which round trip of the command a call belongs to, and what its answer
// waits for. What a command asks once a second, beside what it waits for, counts nothing.
func (l *slowLink) arrived(method string, in []byte) (trip int, until func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until = func(context.Context) error { return nil }
	switch method {
	case workflowservice.WorkflowService_DescribeWorkflowExecution_FullMethodName:
		return 0, until
	case workflowservice.WorkflowService_GetSystemInfo_FullMethodName:
		until = closed(l.start)
	case workflowservice.WorkflowService_StartWorkflowExecution_FullMethodName:
		var start workflowservice.StartWorkflowExecutionRequest
		if googleproto.Unmarshal(in, &start) == nil && strings.HasPrefix(start.GetWorkflowId(), workflows.DeployID("")) {
			until = func(ctx context.Context) error {
				_ = l.temporal.GetWorkflow(ctx, start.GetWorkflowId(), "").Get(ctx, nil) // how it ends is the command's
				return nil
			}
		}
		once(l.start)
	case workflowservice.WorkflowService_GetWorkflowExecutionHistory_FullMethodName:
		var history workflowservice.GetWorkflowExecutionHistoryRequest
		if googleproto.Unmarshal(in, &history) == nil && history.GetHistoryEventFilterType() == enums.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT {
			once(l.close)
		} else {
			until = closed(l.close)
		}
	}
	trip = l.trips + 1
	l.calls = append(l.calls, fmt.Sprintf("%d %s", trip, method[strings.LastIndexByte(method, '/')+1:]))
	return trip, until
}

// once closes a channel unless it is closed.
func once(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// closed waits until a channel is closed. A command that waits for the answer before it
// makes the next call does so in vain.
func closed(c <-chan struct{}) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-c:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Minute):
			return context.DeadlineExceeded
		}
	}
}
