package activities

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
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
	// Fence is the SurveyResult's, for whoever acts on a survey without
	// holding the service's lock: where it is another one by now, a newer
	// deployment may have gone unseen. It is "" for the deploy itself.
	Fence string `json:"fence,omitempty"`
	// Adopted are the service's containers here that mcp has not started.
	Adopted []fleet.Adopted `json:"adopted,omitempty"`
	plan.Recovery
}

// Restore puts back the release: it removes what a deployment left half-done,
// gives a container its name back, and starts what was stopped. It is both
// the undo of a deploy and the first step of one that finds leftovers.
func (a *Node) Restore(ctx context.Context, in RestoreInput) error {
	_, err := reporting(ctx, func(ctx context.Context, r *reporter) (struct{}, error) {
		r.set("restore", in.Service)
		if in.Fence != "" && in.Fence != a.Fence.memory {
			return struct{}{}, fault.New(fault.Conflict, "the worker of node %s was started anew since it was surveyed", a.Name)
		}
		s := step{service: in.Service, deployment: in.Deployment, alone: true, closing: in.Closing, adopted: in.Adopted}
		return inside(ctx, a, s, func(ctx context.Context, engine runtime.Runtime) (struct{}, error) {
			return struct{}{}, putBack(ctx, engine, in)
		})
	})
	if err != nil {
		return a.placed(err, "")
	}
	return nil
}

// putBack does all that it can: a container that does not start, because its
// port is taken, keeps no other one from it.
func putBack(ctx context.Context, engine runtime.Runtime, in RestoreInput) error {
	for _, name := range in.Remove {
		if err := discard(ctx, engine, in, name); err != nil {
			return err
		}
	}
	for _, r := range in.Rename {
		err := engine.Rename(ctx, r.From, r.To)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	var refused []error
	for _, name := range in.Start {
		err := engine.Start(ctx, name)
		if err != nil && !fault.Is(err, fault.NotFound) {
			refused = append(refused, err)
		}
	}
	return errors.Join(refused...)
}

// discard removes a container of the service. One that has served may have data
// to bring home; one that never took over has not.
func discard(ctx context.Context, engine runtime.Runtime, in RestoreInput, name string) error {
	if in.Timeout == 0 || strings.HasSuffix(name, fleet.NextSuffix) {
		return removeOwn(ctx, engine, in.Service, name)
	}
	return retire(ctx, engine, in.Service, name, in.Timeout)
}

// removeOwn removes a container if it is the service's; another's, or none,
// is left alone.
func removeOwn(ctx context.Context, engine runtime.Runtime, service, name string) error {
	info, err := engine.Inspect(ctx, name)
	if fault.Is(err, fault.NotFound) || err == nil && info.Labels[runtime.LabelService] != service {
		return nil
	}
	if err != nil {
		return err
	}
	return engine.Remove(ctx, name)
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
		s := step{service: in.Service, deployment: in.Deployment}
		return inside(ctx, a, s, func(ctx context.Context, engine runtime.Runtime) (struct{}, error) {
			// A late repetition finds the successor under that name.
			if done, err := alreadyCutOver(ctx, engine, in.Service, in.Container, in.Deployment); done || err != nil {
				return struct{}{}, err
			}
			return struct{}{}, engine.Stop(ctx, in.Container, in.Timeout)
		})
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
	// Adopted are the service's containers here that mcp has not started.
	Adopted []fleet.Adopted `json:"adopted,omitempty"`
}

// ParallelStops is how many containers one Retire stops at once.
const ParallelStops = 8

// Retire stops and removes the containers that the cut-over set back.
func (a *Node) Retire(ctx context.Context, in RetireInput) error {
	_, err := reporting(ctx, func(ctx context.Context, r *reporter) (struct{}, error) {
		s := step{service: in.Service, deployment: in.Deployment, adopted: in.Adopted}
		return inside(ctx, a, s, func(ctx context.Context, engine runtime.Runtime) (struct{}, error) {
			// Each may take its whole stop timeout, so they stop side by side.
			g, ctx := errgroup.WithContext(ctx)
			g.SetLimit(ParallelStops)
			for _, container := range in.Containers {
				name := container + fleet.PrevSuffix
				g.Go(func() error {
					r.set("retire", name)
					return retire(ctx, engine, in.Service, name, in.Timeout)
				})
			}
			return struct{}{}, g.Wait()
		})
	})
	if err != nil {
		return a.placed(err, "")
	}
	return nil
}

// retire stops a container of the service if it runs, and removes it.
func retire(ctx context.Context, engine runtime.Runtime, service, name string, timeout time.Duration) error {
	info, err := engine.Inspect(ctx, name)
	if fault.Is(err, fault.NotFound) || err == nil && info.Labels[runtime.LabelService] != service {
		return nil
	}
	if err == nil && info.State != runtime.Stopped {
		err = engine.Stop(ctx, name, timeout)
	}
	if err != nil {
		return err
	}
	return removeOwn(ctx, engine, service, name)
}
