package onnode

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
)

// RestoreInput is what to restore of a service on a node.
type RestoreInput struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	Run        string `json:"run,omitempty"`
	// Closing keeps the deployment from starting anything more here.
	Closing bool `json:"closing,omitempty"`
	// Fence is the SurveyResult's, for a workflow that acts on a survey without
	// holding the service's lock: if it has changed since, a newer
	// deployment may have gone unseen. It is "" for the deploy itself.
	Fence string `json:"fence,omitempty"`
	// Adopted are the service's adopted containers here.
	Adopted []fleet.Adopted `json:"adopted,omitempty"`
	// Sealed are those of the components to start that have secrets of the service: secrets
	// that the engine has lost are made again.
	Sealed []activities.ComponentSpec `json:"sealed,omitempty"`
	// Serving are components of the release whose containers are in Start. Restore waits
	// for them, because edges hold requests until it returns.
	Serving []activities.ComponentSpec `json:"serving,omitempty"`
	// Attended is set for a deploy, which does not wait for an operator to make what podman
	// lacks: it ends, and what follows it waits.
	Attended bool `json:"attended,omitempty"`
	plan.Recovery
}

// servingWait is how long Restore waits, at most, until what it has started is healthy:
// as long as edges hold requests.
const servingWait = 30 * time.Second

// Restore restores the release: it removes the containers that a deployment left
// half-done, gives a container its name back, and starts those that were stopped. It
// is both the undo of a deploy and the first step of one that finds leftovers.
func (a *Node) Restore(ctx context.Context, in RestoreInput) error {
	_, err := attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (struct{}, error) {
		r.Set("restore", in.Service)
		if in.Fence != "" && in.Fence != a.Fence.memory {
			return struct{}{}, fault.New(fault.Conflict, "the worker of node %s has restarted since the survey", a.Name)
		}
		s := step{
			service: in.Service, identity: identity{in.Deployment, in.Run}, alone: true, closing: in.Closing, adopted: in.Adopted,
		}
		done, err := inside(ctx, a, s, func(ctx context.Context, engine runtime.Runtime) (struct{}, error) {
			if err := a.Names.Lead(ctx, engine, in.Service); err != nil { // a container does not start without its network
				return struct{}{}, err
			}
			unsealed := a.unsealAgain(ctx, engine, in.Sealed)
			err := a.putBack(ctx, engine, in)
			switch {
			case err != nil:
				err = errors.Join(unsealed, err)
			case unsealed != nil: // the engine has what the containers need
				activity.GetLogger(ctx).Warn("secrets of what was put back cannot be made again", "error", unsealed)
			}
			a.Names.Forget()
			if err != nil {
				return struct{}{}, errors.Join(err, a.Names.Lead(ctx, engine, in.Service))
			}
			return struct{}{}, a.Names.Lead(ctx, engine, in.Service)
		})
		if err == nil {
			a.awaitServing(ctx, r, in.Serving)
		}
		return done, err
	})
	if err != nil {
		placed := a.placed(err, "")
		if in.Attended && errors.As(err, new(*runtime.MissingError)) {
			return attempt.Lasting(placed)
		}
		return placed
	}
	return nil
}

// awaitServing waits until components of the release pass their checks again. One that does not
// pass them is as it was before the deploy, and does not fail the undo.
func (a *Node) awaitServing(ctx context.Context, r *attempt.Reporter, components []activities.ComponentSpec) {
	ctx, cancel := context.WithTimeout(ctx, servingWait)
	defer cancel()
	var g errgroup.Group
	for _, c := range components {
		if !a.health().Probes(c) {
			continue
		}
		c.Definition.Health.MinHealthy = 0
		g.Go(func() error { return a.health().Await(ctx, r, c, c.Container()) })
	}
	if err := g.Wait(); err != nil {
		activity.GetLogger(ctx).Warn("what was put back is not healthy", "error", err)
	}
}

// putBack does all that it can: a container that does not start, because its
// port is taken, does not keep the others from starting.
func (a *Node) putBack(ctx context.Context, engine runtime.Runtime, in RestoreInput) error {
	for _, left := range in.Remove {
		if err := discard(ctx, engine, in, left); err != nil {
			return err
		}
	}
	for _, r := range in.Rename {
		err := called(ctx, engine, fleet.Ref{Name: r.From, ID: r.ID}, func(name string) error { return engine.Rename(ctx, name, r.To) })
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	var refused []error
	for _, stopped := range in.Start {
		err := called(ctx, engine, stopped, func(name string) error { return engine.Start(ctx, name) })
		if err != nil && !fault.Is(err, fault.NotFound) {
			info, _ := engine.Inspect(ctx, stopped.Key()) // without it, the container's name will do
			refused = append(refused, a.lacking(err, in.Service, cmp.Or(info.Labels[runtime.LabelComponent], stopped.Name)))
		}
	}
	return errors.Join(refused...)
}

// called passes the name that a container has at the moment, by which an error names
// it.
func called(ctx context.Context, engine runtime.Runtime, container fleet.Ref, do func(name string) error) error {
	if container.ID == "" {
		return do(container.Name)
	}
	info, err := engine.Inspect(ctx, container.ID)
	if err != nil {
		return err
	}
	return do(nameOf(info))
}

// discard removes a container of the service. One that has served may have data to
// save, and is stopped first; one that never took over has none.
func discard(ctx context.Context, engine runtime.Runtime, in RestoreInput, left fleet.Ref) error {
	if strings.HasSuffix(left.Name, fleet.NextSuffix) {
		return removeOwn(ctx, engine, in.Service, left.Key())
	}
	return retire(ctx, engine, in.Service, left.Key())
}
