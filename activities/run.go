package activities

import (
	"context"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
)

// RunContainerInput says what to run.
type RunContainerInput struct {
	Component ComponentSpec `json:"component"`
}

// RunContainerResult is the container that runs, and is healthy.
type RunContainerResult struct {
	ID string `json:"id"`
}

// RunContainer pulls the image, runs the component under the name it has
// until the cut-over, and waits until it is healthy. A container that exits,
// or stays unhealthy, is an Unhealthy fault with its last lines of output; it
// is left for Restore to remove.
func (a *Node) RunContainer(ctx context.Context, in RunContainerInput) (RunContainerResult, error) {
	return reporting(ctx, func(ctx context.Context, r *reporter) (RunContainerResult, error) {
		result, err := a.runContainer(ctx, r, in.Component)
		if err != nil {
			err = a.placed(err, in.Component.Definition.Name)
		}
		return result, err
	})
}

func (a *Node) runContainer(ctx context.Context, r *reporter, c ComponentSpec) (RunContainerResult, error) {
	var result RunContainerResult
	if err := a.fenced(ctx, c.Service, c.Deployment); err != nil {
		return result, err
	}
	name := c.Container() + plan.NextSuffix
	// A late repetition finds its container released already.
	if done, err := a.alreadyCutOver(ctx, c.Service, c.Container(), c.Deployment); done || err != nil {
		return result, err
	}
	for try := 1; ; try++ {
		if err := a.fetch(ctx, r, c); err != nil {
			return result, err
		}
		r.set("start", name)
		var err error
		result.ID, err = a.startNext(ctx, c, name)
		if err == nil {
			return result, a.awaitHealthy(ctx, r, c, name)
		}
		// Until a container uses it, the image can be pruned under its hands.
		if !fault.Is(err, fault.NotFound) || try == imageTries {
			return result, err
		}
	}
}

// imageTries is how many times an image is fetched that is gone when the
// container is to be made.
const imageTries = 2

// fetch pulls the image unless it is here.
func (a *Node) fetch(ctx context.Context, r *reporter, c ComponentSpec) error {
	present, err := a.Runtime.ImageExists(ctx, c.Image)
	if present || err != nil {
		return err
	}
	r.set("pull", c.Definition.Image)
	return a.Runtime.Pull(ctx, runtime.PullSpec{
		Image:    c.Image,
		Insecure: a.Insecure(c.Image),
		Progress: func(line string) { r.set("pull", line) },
	})
}

// startNext makes the container, inside the fence: an undo that comes
// meanwhile waits for it, and then finds it. A container of an older
// deployment that came late is in nobody's way.
func (a *Node) startNext(ctx context.Context, c ComponentSpec, name string) (string, error) {
	leave, err := a.Fence.enter(c.Service, c.Deployment)
	if err != nil {
		return "", err
	}
	defer leave()
	found, err := a.Runtime.Inspect(ctx, name)
	switch {
	case fault.Is(err, fault.NotFound):
	case err != nil:
		return "", err
	case found.Labels[runtime.LabelService] == c.Service && deploymentOf(found) < c.Deployment:
		err = a.Runtime.Remove(ctx, name)
	case interrupted(found, c):
		err = a.giveUp(ctx, name)
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	return a.Runtime.Run(ctx, containerSpec(c, name, a.Publish))
}

// interrupted reports whether an earlier attempt created the container, on
// ports of routes, and did not get to see it started.
func interrupted(found runtime.ContainerInfo, c ComponentSpec) bool {
	return found.State == runtime.Created && deploymentOf(found) == c.Deployment &&
		len(found.Ports) > 0 && len(c.Routes) > 0
}

// giveUp removes a container whose start was interrupted, and asks for other
// ports. An engine that dies in the middle of a start can leave a port
// forwarded to an address that nobody has, and forgets that it did: the
// container would run, and nobody would reach it.
func (a *Node) giveUp(ctx context.Context, name string) error {
	if err := a.Runtime.Remove(ctx, name); err != nil {
		return err
	}
	return fault.New(fault.PortInUse, "start container %s: the engine was interrupted, and may have lost its ports", name)
}

// placed adds where it happened to an error.
func (a *Node) placed(err error, component string) error {
	f := *fault.Of(err)
	f.Node, f.Component = a.Name, component
	return &f
}
