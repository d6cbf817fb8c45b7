package onnode

import (
	"context"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// RunContainerInput is the component to run.
type RunContainerInput struct {
	Component activities.ComponentSpec `json:"component"`
}

// RunContainerResult is the container that runs and is healthy.
type RunContainerResult struct {
	ID string `json:"id"`
	// Boot is the boot of the node's host in which it is; "" if that is unknown.
	Boot string `json:"boot,omitempty"`
	// Address is where it publishes its routes.
	Address string `json:"address,omitempty"`
}

// RunContainer pulls the image, runs the component under the name it has
// until the cut-over, and waits until it is healthy. A container that exits,
// or stays unhealthy, is an Unhealthy fault with its last lines of output; it
// is left for Restore to remove.
func (a *Node) RunContainer(ctx context.Context, in RunContainerInput) (RunContainerResult, error) {
	return attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (RunContainerResult, error) {
		result, err := a.runContainer(ctx, r, in.Component)
		if err != nil {
			err = a.placed(err, in.Component.Definition.Name)
		}
		return result, err
	})
}

// FetchImage pulls the image of a component unless it is here.
func (a *Node) FetchImage(ctx context.Context, in RunContainerInput) error {
	_, err := attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (struct{}, error) {
		err := a.Fence.pass(in.Component.Service, identityOf(in.Component))
		if err == nil {
			err = a.permit(ctx, in.Component)
		}
		if err == nil {
			err = a.fetch(ctx, r, in.Component)
		}
		if err != nil {
			err = a.placed(err, in.Component.Definition.Name)
		}
		return struct{}{}, err
	})
	return err
}

func (a *Node) runContainer(ctx context.Context, r *attempt.Reporter, c activities.ComponentSpec) (RunContainerResult, error) {
	result := RunContainerResult{Boot: a.Machine.Boot, Address: a.Publish}
	if err := a.Fence.pass(c.Service, identityOf(c)); err != nil {
		return result, err // before it pulls for nothing
	}
	if err := a.permit(ctx, c); err != nil {
		return result, err
	}
	name := c.Container() + fleet.NextSuffix
	for try := 1; ; try++ {
		if err := a.fetch(ctx, r, c); err != nil {
			return result, err
		}
		started, err := a.start(ctx, r, c, name)
		switch {
		case err == nil && started.released:
			return result, nil
		case err == nil:
			result.ID = started.id
			err := a.health().Await(ctx, r, c, name)
			if err == nil {
				err = a.leadHealthy(ctx, c, name)
			}
			return result, err
		// Until a container uses the image, it may be pruned.
		case !fault.Is(err, fault.NotFound) || try == imageTries:
			return result, err
		}
	}
}

// imageTries is how often an image is fetched if it is gone when the container is to be
// created.
const imageTries = 2

// fetch pulls the image unless it is here. Of several components with the same
// image, one pulls it, and the others then find it.
func (a *Node) fetch(ctx context.Context, r *attempt.Reporter, c activities.ComponentSpec) error {
	done, err := a.Slots.take(ctx, r, "pull "+c.Image, 1)
	if err != nil {
		return err
	}
	defer done()
	present, err := a.Runtime.ImageExists(ctx, c.Image)
	if err != nil {
		return err
	}
	if err := a.checkSignature(ctx, r, c, present); err != nil || present {
		return err
	}
	r.Set("pull", c.Definition.Image)
	pull := runtime.PullSpec{
		Image:    c.Image,
		Insecure: a.Insecure(c.Image),
		Progress: func(line string) { r.Set("pull", line) },
	}
	return attempt.Transfer(ctx, "pull", c.Image, "node "+a.Name, func(ctx context.Context) error { return a.Runtime.Pull(ctx, pull) })
}

// start creates and starts the container inside the fence, once a slot is free.
func (a *Node) start(ctx context.Context, r *attempt.Reporter, c activities.ComponentSpec, name string) (startResult, error) {
	done, err := a.Slots.take(ctx, r, "start", ParallelStarts)
	if err != nil {
		return startResult{}, err
	}
	defer done()
	r.Set("start", name)
	return inside(ctx, a, step{service: c.Service, identity: identityOf(c)}, func(ctx context.Context, engine runtime.Runtime) (startResult, error) {
		return a.startNext(ctx, engine, c, name)
	})
}

// startResult is the container that was created.
type startResult struct {
	id string
	// released is set for a late repetition: the container has its real name
	// already, and none was created.
	released bool
}

// startNext creates and starts the container. It replaces one that another deployment
// created: by a late step, or under a number that no registry has given.
func (a *Node) startNext(ctx context.Context, engine runtime.Runtime, c activities.ComponentSpec, name string) (startResult, error) {
	released, err := alreadyCutOver(ctx, engine, c.Service, c.Container(), identityOf(c))
	if released || err != nil {
		return startResult{released: released}, err
	}
	found, err := engine.Inspect(ctx, name)
	switch {
	case fault.Is(err, fault.NotFound):
	case err != nil:
		return startResult{}, err
	case found.Labels[runtime.LabelService] == c.Service && identityIn(found.Labels) != identityOf(c):
		err = engine.Remove(ctx, name)
	case interrupted(found, c):
		err = giveUp(ctx, engine, name)
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return startResult{}, err
	}
	id, err := a.runNamed(ctx, engine, c, containerSpec(c, name, a.Publish))
	return startResult{id: id}, err
}

// interrupted reports whether an earlier attempt created the container, on
// ports of routes, and died before it was started.
func interrupted(found runtime.ContainerInfo, c activities.ComponentSpec) bool {
	return found.State == runtime.Created && identityIn(found.Labels) == identityOf(c) &&
		len(found.Ports) > 0 && len(c.Routes) > 0
}

// giveUp removes a container whose start was interrupted, and returns a PortInUse, so
// that other ports are allocated. An engine that dies in the middle of a start can
// leave a port forwarded to an unused address, and loses track of that: the container
// would run and be unreachable.
func giveUp(ctx context.Context, engine runtime.Runtime, name string) error {
	if err := engine.Remove(ctx, name); err != nil {
		return err
	}
	return fault.New(fault.PortInUse, "start container %s: the engine was interrupted, and may have lost its ports", name)
}
