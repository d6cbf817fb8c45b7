package onnode

import (
	"cmp"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// RetireInput names the containers that were set aside.
type RetireInput struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	Run        string `json:"run,omitempty"`
	// Containers have their real names; without an id, the container that waits as
	// name.prev is removed.
	Containers []fleet.Ref `json:"containers"`
	// Adopted are the service's adopted containers here.
	Adopted []fleet.Adopted `json:"adopted,omitempty"`
}

// ParallelStops is how many containers one Retire stops at once.
const ParallelStops = 8

// Retire stops and removes the containers that the cut-over set aside, each within
// its own stop timeout.
func (a *Node) Retire(ctx context.Context, in RetireInput) error {
	_, err := attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (struct{}, error) {
		s := step{service: in.Service, identity: identity{in.Deployment, in.Run}, adopted: in.Adopted}
		return inside(ctx, a, s, func(ctx context.Context, engine runtime.Runtime) (struct{}, error) {
			going := slices.Clone(in.Containers)
			for i := range going {
				going[i].Name += fleet.PrevSuffix
			}
			if err := a.Names.Rest(ctx, r, engine, in.Service, going); err != nil {
				return struct{}{}, err
			}
			if err := retireAll(ctx, r, engine, in.Service, going); err != nil {
				return struct{}{}, err
			}
			return struct{}{}, a.Names.Lead(ctx, engine, in.Service)
		})
	})
	if err != nil {
		return a.placed(err, "")
	}
	return nil
}

// retireAll retires containers in parallel: each may take its whole stop timeout.
func retireAll(ctx context.Context, r *attempt.Reporter, engine runtime.Runtime, service string, going []fleet.Ref) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(ParallelStops)
	for _, container := range going {
		g.Go(func() error {
			r.Set("retire", container.Name)
			return retire(ctx, engine, service, container.Key())
		})
	}
	return g.Wait()
}

// retire stops a container of the service if it runs, and removes it.
func retire(ctx context.Context, engine runtime.Runtime, service, key string) error {
	info, err := engine.Inspect(ctx, key)
	if fault.Is(err, fault.NotFound) || err == nil && info.Labels[runtime.LabelService] != service {
		return nil
	}
	if err == nil && info.State != runtime.Stopped {
		err = engine.Stop(ctx, nameOf(info), info.StopTimeout)
	}
	if err != nil {
		return err
	}
	return removeOwn(ctx, engine, service, key)
}

// removeOwn removes a container, given its name or its id, if it exists and is the
// service's.
func removeOwn(ctx context.Context, engine runtime.Runtime, service, key string) error {
	info, err := engine.Inspect(ctx, key)
	if fault.Is(err, fault.NotFound) || err == nil && info.Labels[runtime.LabelService] != service {
		return nil
	}
	if err != nil {
		return err
	}
	return engine.Remove(ctx, nameOf(info))
}

// nameOf returns the name of a container, or the id of one that has none, because its
// removal was interrupted.
func nameOf(c runtime.ContainerInfo) string { return cmp.Or(c.Name, c.ID) }
