package e2e

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows"
)

// holder blocks the first RunContainer until letGo is closed, and then sends how it
// ended.
type holder struct {
	interceptor.WorkerInterceptorBase
	taken          atomic.Bool
	reached, letGo chan struct{}
	ended          chan error
}

func newHolder() *holder {
	return &holder{reached: make(chan struct{}), letGo: make(chan struct{}), ended: make(chan error, 1)}
}

func (h *holder) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &heldActivity{interceptor.ActivityInboundInterceptorBase{Next: next}, h}
}

type heldActivity struct {
	interceptor.ActivityInboundInterceptorBase
	holder *holder
}

func (a *heldActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	h := a.holder
	if activity.GetInfo(ctx).ActivityType.Name != "RunContainer" || !h.taken.CompareAndSwap(false, true) {
		return a.Next.ExecuteActivity(ctx, in)
	}
	close(h.reached)
	<-h.letGo
	out, err := a.Next.ExecuteActivity(ctx, in)
	h.ended <- err
	return out, err
}

// serveNode makes the platform's podman a second node, whose activities go through an
// interceptor.
func (w *world) serveNode(name string, seen interceptor.WorkerInterceptor) {
	w.t.Helper()
	info := shared.platform.Info()
	served, err := workers.Start(w.t.Context(), w.temporal(), workers.Options{
		Node:         &workers.Node{Name: name, Socket: info.Podman, Publish: info.Publish, Insecure: []string{info.ImageRegistry}},
		Interceptors: []interceptor.WorkerInterceptor{seen},
	})
	require.NoError(w.t, err)
	w.t.Cleanup(served.Stop)
}

// containers lists the containers of a service: "late-app 2 running".
func (w *world) containers(service string) []string {
	w.t.Helper()
	found, err := podman.New(shared.platform.Info().Podman).List(w.t.Context(), map[string]string{runtime.LabelService: service})
	require.NoError(w.t, err)
	var words []string
	for _, c := range found {
		words = append(words, c.Name+" "+c.Labels[runtime.LabelDeployment]+" "+string(c.State))
	}
	return words
}

func TestALateActivityOfATerminatedDeployTouchesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := newHolder()
	w.serveNode("held", held)
	w.source("v1", "")
	w.define("late", strings.Replace(w.service("late", "v1", ""), `node = "local"`, `node = "held"`, 1))
	first := make(chan reply, 1)
	go func() { first <- w.mcp("deploy", "late", "--json") }()
	<-held.reached
	require.NoError(t, w.temporal().TerminateWorkflow(t.Context(), workflows.DeployID("late"), "", "a test"))
	r := <-first
	require.Equal(t, 3, r.code, r)

	second := w.deploy("late")
	require.Equal(t, workflows.Succeeded, second.Outcome)
	require.Equal(t, 2, second.Deployment)
	want := []string{"late-app 2 running"}
	require.Equal(t, want, w.containers("late"))

	close(held.letGo)
	select {
	case err := <-held.ended:
		require.Error(t, err)
		f := workflows.FaultOf(err)
		require.Equal(t, fault.Conflict, f.Kind, f.Message)
		require.Equal(t, "deployment 1 of late is over: deployment 2 has begun", f.Message)
	case <-time.After(30 * time.Second):
		t.Fatal("the late activity did not end")
	}
	require.Equal(t, want, w.containers("late"))
	require.Equal(t, "v1", w.fetch(second.Components[0].Ports["http"]))
	require.Equal(t, workflows.Unchanged, w.deploy("late").Outcome)
}
