package activities

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// inside does what changes containers, inside the fence. Work gets an engine
// that is not hung up on. When the activity is cancelled, or a newer deployment
// comes, inside returns at once; the step is under way for as long as the
// engine is.
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
		err := a.readLabels(ctx, s.service, s.deployment)
		if err != nil {
			done <- result{err: err}
			return
		}
		value, err := work(ctx, patient{knowing(a.Runtime, s.adopted)})
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

// patient is an engine that carries a call out to its end, whatever becomes of
// the context. To hang up would not help: podman does what it was told, and
// the next to look would not see that it is about to. But a context that has
// ended begins no call.
type patient struct{ runtime.Runtime }

func (p patient) Run(ctx context.Context, spec runtime.ContainerSpec) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return p.Runtime.Run(context.WithoutCancel(ctx), spec)
}

func (p patient) Start(ctx context.Context, name string) error {
	return p.do(ctx, func(ctx context.Context) error { return p.Runtime.Start(ctx, name) })
}

func (p patient) Stop(ctx context.Context, name string, timeout time.Duration) error {
	return p.do(ctx, func(ctx context.Context) error { return p.Runtime.Stop(ctx, name, timeout) })
}

func (p patient) Remove(ctx context.Context, name string) error {
	return p.do(ctx, func(ctx context.Context) error { return p.Runtime.Remove(ctx, name) })
}

func (p patient) Rename(ctx context.Context, from, to string) error {
	return p.do(ctx, func(ctx context.Context) error { return p.Runtime.Rename(ctx, from, to) })
}

func (p patient) do(ctx context.Context, call func(context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return call(context.WithoutCancel(ctx))
}

// readLabels fails when the service's containers are of a newer deployment:
// what this process has not seen, because it is younger, the labels tell. Once
// is enough: what comes after that passes this very fence.
func (a *Node) readLabels(ctx context.Context, service string, deployment int) error {
	if a.Fence.labelsRead(service, deployment) {
		return nil
	}
	newest, err := a.newestLabel(ctx, service)
	if err != nil {
		return err
	}
	if newest > deployment {
		return fault.New(fault.Conflict, "deployment %d of %s is over: node %s has containers of deployment %d", deployment, service, a.Name, newest)
	}
	a.Fence.noteRead(service, deployment)
	return nil
}

// newestLabel is the newest deployment that the service's containers bear.
func (a *Node) newestLabel(ctx context.Context, service string) (int, error) {
	containers, err := a.Runtime.Summaries(ctx, runtime.Selection{Labels: map[string]string{runtime.LabelService: service}})
	if err != nil {
		return 0, err
	}
	newest := 0
	for _, c := range containers {
		newest = max(newest, deploymentIn(c.Labels))
	}
	return newest, nil
}
