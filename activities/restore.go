package activities

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
)

// RestoreInput says how a node's containers were, or should be.
type RestoreInput struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	// Closing keeps the deployment from starting anything more here.
	Closing bool `json:"closing,omitempty"`
	// Timeout is how long a container that has served may take to stop before
	// it is removed; 0 removes it at once.
	Timeout time.Duration `json:"timeout,omitempty"`
	plan.Recovery
}

// Restore puts back the release: it removes what a deployment left half-done,
// gives a container its name back, and starts what was stopped. It is both
// the undo of a deploy and the first step of one that finds leftovers.
func (a *Node) Restore(ctx context.Context, in RestoreInput) error {
	_, err := reporting(ctx, func(ctx context.Context, r *reporter) (struct{}, error) {
		r.set("restore", in.Service)
		if in.Closing {
			a.Fence.close(in.Service, in.Deployment)
		}
		if err := a.fenced(ctx, in.Service, in.Deployment); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, a.putBack(ctx, in)
	})
	if err != nil {
		return a.placed(err, "")
	}
	return nil
}

func (a *Node) putBack(ctx context.Context, in RestoreInput) error {
	for _, name := range in.Remove {
		if err := a.discard(ctx, in, name); err != nil {
			return err
		}
	}
	for _, r := range in.Rename {
		err := a.Runtime.Rename(ctx, r.From, r.To)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	for _, name := range in.Start {
		err := a.Runtime.Start(ctx, name)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// discard removes a container of the service. One that has served may have data
// to bring home; one that never took over has not.
func (a *Node) discard(ctx context.Context, in RestoreInput, name string) error {
	if in.Timeout == 0 || strings.HasSuffix(name, plan.NextSuffix) {
		return a.removeOwn(ctx, in.Service, name)
	}
	return a.retire(ctx, in.Service, name, in.Timeout)
}

// removeOwn removes a container if it is the service's; another's, or none,
// is left alone.
func (a *Node) removeOwn(ctx context.Context, service, name string) error {
	info, err := a.Runtime.Inspect(ctx, name)
	if fault.Is(err, fault.NotFound) || err == nil && info.Labels[runtime.LabelService] != service {
		return nil
	}
	if err != nil {
		return err
	}
	return a.Runtime.Remove(ctx, name)
}

// StopContainerInput names a container to stop.
type StopContainerInput struct {
	Service    string        `json:"service"`
	Deployment int           `json:"deployment"`
	Container  string        `json:"container"`
	Timeout    time.Duration `json:"timeout"`
}

// StopContainer stops a container, and keeps it.
func (a *Node) StopContainer(ctx context.Context, in StopContainerInput) error {
	_, err := reporting(ctx, func(ctx context.Context, r *reporter) (struct{}, error) {
		r.set("stop", in.Container)
		leave, err := a.Fence.enter(in.Service, in.Deployment)
		if err != nil {
			return struct{}{}, err
		}
		defer leave()
		if err := a.fenced(ctx, in.Service, in.Deployment); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, a.Runtime.Stop(ctx, in.Container, in.Timeout)
	})
	if err != nil {
		return a.placed(err, "")
	}
	return nil
}

// RetireInput names the containers that have been followed.
type RetireInput struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	// Containers are real names; what waits behind one as name.prev goes.
	Containers []string      `json:"containers"`
	Timeout    time.Duration `json:"timeout"`
}

// ParallelStops is how many containers one Retire stops at once.
const ParallelStops = 8

// Retire stops and removes the containers that the cut-over set back.
func (a *Node) Retire(ctx context.Context, in RetireInput) error {
	_, err := reporting(ctx, func(ctx context.Context, r *reporter) (struct{}, error) {
		if err := a.fenced(ctx, in.Service, in.Deployment); err != nil {
			return struct{}{}, err
		}
		// Each may take its whole stop timeout, so they stop side by side.
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(ParallelStops)
		for _, container := range in.Containers {
			name := container + plan.PrevSuffix
			g.Go(func() error {
				r.set("retire", name)
				return a.retire(ctx, in.Service, name, in.Timeout)
			})
		}
		return struct{}{}, g.Wait()
	})
	if err != nil {
		return a.placed(err, "")
	}
	return nil
}

// retire stops a container of the service if it runs, and removes it.
func (a *Node) retire(ctx context.Context, service, name string, timeout time.Duration) error {
	info, err := a.Runtime.Inspect(ctx, name)
	if fault.Is(err, fault.NotFound) || err == nil && info.Labels[runtime.LabelService] != service {
		return nil
	}
	if err == nil && info.State != runtime.Stopped {
		err = a.Runtime.Stop(ctx, name, timeout)
	}
	if err != nil {
		return err
	}
	return a.removeOwn(ctx, service, name)
}
