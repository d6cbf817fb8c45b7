package e2e

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
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
	link := newSlowLink(w)

	for _, of := range []struct {
		most   int
		builds bool // the command line is the builder
		args   []string
	}{
		{2, false, []string{"plan", "far"}},
		{2, false, []string{"deploy", "far"}},           // it replaces a container
		{2, false, []string{"deploy", "far", "--json"}}, // it changes nothing
		{2, false, []string{"status", "far"}},
		{2, false, []string{"history", "far"}},
		{2, false, []string{"logs", "far"}},
		{4, false, []string{"rollback", "far"}},
		{2, false, []string{"restart", "far"}},
		{2, false, []string{"exec", "far/app", "--", "/app", "say", "far", "0"}},
		{3, true, []string{"deploy", "far"}}, // one to begin as a builder
	} {
		name := strings.Join(of.args, " ")
		if of.builds {
			name += ", which builds"
		}
		t.Run(name, func(t *testing.T) {
			w.reachThrough(link, of.builds)
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
	address  string
	upstream *grpc.ClientConn
	temporal client.Client

	mu  sync.Mutex
	now *tally
}

// tally is what one command has asked for.
type tally struct {
	calls []string
	trips int // of the answers so far
	// Each is closed when it has been asked for: the start of a workflow, its end, and its
	// whole history.
	start, end, whole chan struct{}
}

// newSlowLink serves a link to the platform's Temporal.
func newSlowLink(w *world) *slowLink {
	w.t.Helper()
	upstream, err := grpc.NewClient(shared.platform.Info().Temporal(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(w.t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	l := &slowLink{upstream: upstream, temporal: w.temporal(), address: listener.Addr().String()}
	l.begin()
	server := grpc.NewServer(grpc.UnknownServiceHandler(l.pass), grpc.ForceServerCodecV2(asIs{}))
	go func() { _ = server.Serve(listener) }() // Stop ends it
	w.t.Cleanup(func() {
		server.Stop()
		_ = upstream.Close()
	})
	return l
}

// reachThrough makes w reach Temporal over a link. Unless it builds, it has no sources.
func (w *world) reachThrough(l *slowLink, builds bool) {
	info := shared.platform.Info()
	lines := []string{
		fmt.Sprintf("services = %q", w.services), "[temporal]", fmt.Sprintf("address = %q", l.address), encryptionKeys(),
		"[image_registry]", fmt.Sprintf("insecure = [%q]", info.ImageRegistry),
	}
	if builds {
		lines = append(lines, "[build]", fmt.Sprintf("workspace = %q", w.workspace), fmt.Sprintf("builder = %q", w.builder),
			fmt.Sprintf("socket = %q", info.Podman), fmt.Sprintf("logs = %q", filepath.Join(w.dir, "logs")))
	}
	w.configure(lines...)
}

// begin begins to count for another command.
func (l *slowLink) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = &tally{start: make(chan struct{}), end: make(chan struct{}), whole: make(chan struct{})}
}

// count returns the round trips since begin, and the calls, each with its number.
func (l *slowLink) count() (trips int, calls []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now.trips, slices.Clone(l.now.calls)
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
	of, trip, until := l.arrived(method, in.Materialize())
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
	of.trips = max(of.trips, trip)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return stream.SendMsg(&out)
}

// beside are the calls that a command does not wait for before it shows its success: what
// it asks once a second, and what a builder asks.
var beside = []string{
	workflowservice.WorkflowService_DescribeWorkflowExecution_FullMethodName,
	workflowservice.WorkflowService_PollActivityTaskQueue_FullMethodName,
	workflowservice.WorkflowService_RecordWorkerHeartbeat_FullMethodName,
	workflowservice.WorkflowService_ShutdownWorker_FullMethodName,
}

// arrived returns which round trip of which command a call belongs to, and what its answer
// waits for.
func (l *slowLink) arrived(method string, in []byte) (of *tally, trip int, until func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of, until = l.now, func(context.Context) error { return nil }
	if slices.Contains(beside, method) {
		return of, 0, until
	}
	switch method {
	case workflowservice.WorkflowService_GetSystemInfo_FullMethodName:
		until = closed(of.start)
	case workflowservice.WorkflowService_StartWorkflowExecution_FullMethodName:
		var start workflowservice.StartWorkflowExecutionRequest
		if googleproto.Unmarshal(in, &start) == nil && isDeploy(start.GetWorkflowId()) {
			until = func(ctx context.Context) error {
				_ = l.temporal.GetWorkflow(ctx, start.GetWorkflowId(), "").Get(ctx, nil) // how it ends is the command's
				return nil
			}
		}
		once(of.start)
	case workflowservice.WorkflowService_GetWorkflowExecutionHistory_FullMethodName:
		var history workflowservice.GetWorkflowExecutionHistoryRequest
		if googleproto.Unmarshal(in, &history) != nil || !isDeploy(history.GetExecution().GetWorkflowId()) {
			break // of a read its end alone
		}
		if until = closed(of.end); history.GetHistoryEventFilterType() == enums.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT {
			until = closed(of.whole)
			once(of.end)
		} else {
			once(of.whole)
		}
	}
	trip = of.trips + 1
	of.calls = append(of.calls, fmt.Sprintf("%d %s", trip, method[strings.LastIndexByte(method, '/')+1:]))
	return of, trip, until
}

func isDeploy(id string) bool { return strings.HasPrefix(id, workflows.DeployID("")) }

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
