package activities

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// inside runs a step inside the fence. Work gets an engine whose calls are not
// interrupted. When the activity is cancelled, or a newer deployment is seen, inside
// returns at once; the step is under way until the engine has finished.
func inside[T any](ctx context.Context, a *Node, s step, work func(ctx context.Context, engine runtime.Runtime) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	ctx, leave, err := a.Fence.enter(ctx, &s)
	if err != nil {
		return none, err
	}
	done := make(chan result, 1)
	go func() {
		defer leave()
		err := a.readLabels(ctx, s.service, s.identity)
		if err != nil {
			done <- result{err: err}
			return
		}
		value, err := work(ctx, uninterrupted{labelling(a.Runtime, s.adopted)})
		done <- result{value, err}
	}()
	<-ctx.Done() // as it also is when the step has ended
	select {
	case r := <-done:
		return r.value, r.err
	default:
		return none, context.Cause(ctx)
	}
}

// uninterrupted is an engine that finishes each call, even if the context ends.
// Closing the connection would not help: podman carries the request out, and the
// next step would not see that it is still under way. A context that has ended
// begins no call.
type uninterrupted struct{ runtime.Runtime }

func (u uninterrupted) Run(ctx context.Context, spec runtime.ContainerSpec) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return u.Runtime.Run(context.WithoutCancel(ctx), spec)
}

func (u uninterrupted) Start(ctx context.Context, name string) error {
	return u.do(ctx, func(ctx context.Context) error { return u.Runtime.Start(ctx, name) })
}

func (u uninterrupted) Stop(ctx context.Context, name string, timeout time.Duration) error {
	return u.do(ctx, func(ctx context.Context) error { return u.Runtime.Stop(ctx, name, timeout) })
}

func (u uninterrupted) Remove(ctx context.Context, name string) error {
	return u.do(ctx, func(ctx context.Context) error { return u.Runtime.Remove(ctx, name) })
}

func (u uninterrupted) Rename(ctx context.Context, from, to string) error {
	return u.do(ctx, func(ctx context.Context) error { return u.Runtime.Rename(ctx, from, to) })
}

func (u uninterrupted) do(ctx context.Context, call func(context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return call(context.WithoutCancel(ctx))
}

// readLabels fails when the service's containers are of a newer deployment, or of
// another one of the same number. The labels show deployments that this process has
// not seen because it started after them. Reading them once is enough: later
// deployments pass this fence.
func (a *Node) readLabels(ctx context.Context, service string, deployment identity) error {
	if a.Fence.labelsRead(service, deployment) {
		return nil
	}
	containers, err := a.Runtime.Summaries(ctx, runtime.Selection{Labels: map[string]string{runtime.LabelService: service}})
	if err != nil {
		return err
	}
	for _, c := range containers {
		if found := identityIn(c.Labels); found.refuses(deployment) && fleet.Credible(found.number, deployment.number) {
			return fault.New(fault.Conflict, "deployment %d of %s is over: node %s has containers of deployment %d", deployment.number, service, a.Name, found.number)
		}
	}
	a.Fence.recordRead(service, deployment)
	return nil
}
