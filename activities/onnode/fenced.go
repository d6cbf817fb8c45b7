package onnode

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// inside runs a step inside the fence. Work gets an engine whose calls are not
// interrupted. When the activity is cancelled, or a newer deployment is seen, inside
// returns at once; the step is under way until the engine has finished, or makes no
// progress any more.
func inside[T any](ctx context.Context, a *Node, s step, work func(ctx context.Context, engine runtime.Runtime) (T, error)) (T, error) {
	var none T
	ctx, leave, err := a.Fence.enter(ctx, &s)
	if err != nil {
		return none, err
	}
	ctx, v, end := attempt.KeepVigil(ctx)
	leave = sync.OnceFunc(leave)
	stalled := context.AfterFunc(v.Context(), func() {
		s.stop(context.Cause(v.Context()))
		leave()
	})
	done := make(chan attempt.Outcome[T], 1)
	go func() {
		defer leave()
		defer stalled()
		defer end()
		done <- attempt.Try(func() (T, error) {
			if err := a.readLabels(ctx, s.service, s.identity); err != nil {
				return none, err
			}
			return work(ctx, uninterrupted{labelling(a.Runtime, s.adopted), &a.readers})
		})
	}()
	<-ctx.Done() // as it also is when the step has ended
	select {
	case r := <-done:
		return r.Value, r.Err
	default:
		return none, context.Cause(ctx)
	}
}

// uninterrupted is an engine that finishes each call, even if the context ends.
// Closing the connection would not help: podman carries the request out, and the
// next step would not see that it is still under way. A context that has ended
// begins no call.
type uninterrupted struct {
	runtime.Runtime
	readers *readers
}

func (u uninterrupted) Run(ctx context.Context, spec runtime.ContainerSpec) (id string, err error) {
	err = finish(ctx, 0, func(ctx context.Context) error {
		id, err = u.Runtime.Run(ctx, spec)
		return err
	})
	return id, err
}

func (u uninterrupted) Start(ctx context.Context, name string) error {
	return finish(ctx, 0, func(ctx context.Context) error { return u.Runtime.Start(ctx, name) })
}

func (u uninterrupted) Stop(ctx context.Context, name string, timeout time.Duration) error {
	attempt.Allow(ctx, timeout)
	return finish(ctx, timeout, func(ctx context.Context) error { return u.Runtime.Stop(ctx, name, timeout) })
}

// Remove lets the readers of the container's output read its last lines first.
func (u uninterrupted) Remove(ctx context.Context, name string) error {
	u.readers.lastWords(ctx, u.Runtime, name)
	return finish(ctx, 0, func(ctx context.Context) error { return u.Runtime.Remove(ctx, name) })
}

func (u uninterrupted) Rename(ctx context.Context, from, to string) error {
	return finish(ctx, 0, func(ctx context.Context) error { return u.Runtime.Rename(ctx, from, to) })
}

func (u uninterrupted) CreateNetwork(ctx context.Context, spec runtime.NetworkSpec) (info runtime.NetworkInfo, err error) {
	err = finish(ctx, 0, func(ctx context.Context) error {
		info, err = u.Runtime.CreateNetwork(ctx, spec)
		return err
	})
	return info, err
}

func (u uninterrupted) RemoveNetwork(ctx context.Context, name string) error {
	return finish(ctx, 0, func(ctx context.Context) error { return u.Runtime.RemoveNetwork(ctx, name) })
}

func (u uninterrupted) CreateSecret(ctx context.Context, spec runtime.SecretSpec) error {
	return finish(ctx, 0, func(ctx context.Context) error { return u.Runtime.CreateSecret(ctx, spec) })
}

func (u uninterrupted) RemoveSecret(ctx context.Context, name string) error {
	return finish(ctx, 0, func(ctx context.Context) error { return u.Runtime.RemoveSecret(ctx, name) })
}

// finish makes a call whose context ends later than ctx: by patience, and by extra.
func finish(ctx context.Context, extra time.Duration, call func(context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	detached, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	late := time.AfterFunc(math.MaxInt64, func() { cancel(context.Cause(ctx)) })
	defer late.Stop()
	defer context.AfterFunc(ctx, func() { late.Reset(attempt.Patience + extra) })()
	return call(detached)
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
