package session

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
)

// greeting saves a command the round trip with which Temporal's client begins: the client
// asks what the server can do, and makes no call before it knows. Here the question is
// under way beside the first call. If it fails before any call is answered, the calls fail
// with it, so that a server that cannot be reached ends a command no later than before.
type greeting struct {
	// within bounds the time until the question is answered.
	within time.Duration
	// explain returns the error of a command whose question has failed.
	explain func(context.Context, error) error

	begin sync.Once
	// answered is closed when the question has been answered, with reply or err.
	answered chan struct{}
	reply    *workflowservice.GetSystemInfoResponse
	err      error
	// heard is set once another call has been answered: then the server can be reached.
	heard atomic.Bool
	// failed ends if the question has failed first.
	failed context.Context
	fail   context.CancelFunc
}

func newGreeting(ctx context.Context, within time.Duration, explain func(context.Context, error) error) *greeting {
	g := &greeting{within: within, explain: explain, answered: make(chan struct{})}
	g.failed, g.fail = context.WithCancel(context.WithoutCancel(ctx))
	return g
}

// intercept is a grpc.UnaryClientInterceptor, the outermost: what it waits for includes the
// repetitions of a call.
func (g *greeting) intercept(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	if method == workflowservice.WorkflowService_GetSystemInfo_FullMethodName {
		first := false
		g.begin.Do(func() {
			first = true
			go g.ask(context.WithoutCancel(ctx), in, cc, invoke, o)
		})
		return g.await(ctx, cc, out, first)
	}
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.failed, cancel)()
	err := invoke(bounded, method, in, out, cc, o...)
	switch {
	case err == nil || exit.KindOf(err) != fault.Unavailable:
		g.heard.Store(true)
	case ctx.Err() == nil && bounded.Err() != nil:
		return g.explain(ctx, g.err)
	}
	return err
}

// ask asks the server what it can do.
func (g *greeting) ask(ctx context.Context, in any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o []grpc.CallOption) {
	ctx, cancel := context.WithTimeout(ctx, g.within)
	defer cancel()
	reply := &workflowservice.GetSystemInfoResponse{}
	g.err = invoke(ctx, workflowservice.WorkflowService_GetSystemInfo_FullMethodName, in, reply, cc, o...)
	g.reply = reply
	close(g.answered)
	if g.err != nil && !g.heard.Load() {
		g.fail()
	}
}

// await waits for the answer. The first time it waits only until the connection is ready.
func (g *greeting) await(ctx context.Context, cc *grpc.ClientConn, out any, first bool) error {
	connected := make(chan struct{})
	if first {
		waiting, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			for state := cc.GetState(); state != connectivity.Ready; state = cc.GetState() {
				if !cc.WaitForStateChange(waiting, state) {
					return
				}
			}
			close(connected)
		}()
	}
	select {
	case <-g.answered:
		if g.err == nil {
			proto.Merge(out.(proto.Message), g.reply)
		}
		return g.err
	case <-connected:
		// Every Temporal since 1.17 can do this, and a command needs nothing else of it.
		out.(*workflowservice.GetSystemInfoResponse).Capabilities = &workflowservice.GetSystemInfoResponse_Capabilities{InternalErrorDifferentiation: true}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
