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
	ID     string `json:"id"`
	Pulled bool   `json:"pulled"`
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
	if err := a.Fence.open(c.Service, c.Deployment); err != nil {
		return result, err
	}
	if err := a.fenced(ctx, c.Service, c.Deployment); err != nil {
		return result, err
	}
	name := c.Container() + plan.NextSuffix
	if done, err := a.alreadyCutOver(ctx, c); done || err != nil {
		return result, err
	}
	present, err := a.Runtime.ImageExists(ctx, c.Image)
	if err != nil {
		return result, err
	}
	if !present {
		r.set("pull", c.Definition.Image)
		pull := runtime.PullSpec{
			Image:    c.Image,
			Insecure: a.Insecure(c.Image),
			Progress: func(line string) { r.set("pull", line) },
		}
		if err := a.Runtime.Pull(ctx, pull); err != nil {
			return result, err
		}
		result.Pulled = true
	}
	r.set("start", name)
	if result.ID, err = a.Runtime.Run(ctx, containerSpec(c, name, a.Publish)); err != nil {
		return result, err
	}
	return result, a.awaitHealthy(ctx, r, c, name)
}

// alreadyCutOver reports whether the container has its real name already: this
// run is a late repetition.
func (a *Node) alreadyCutOver(ctx context.Context, c ComponentSpec) (bool, error) {
	info, err := a.Runtime.Inspect(ctx, c.Container())
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && info.Labels[runtime.LabelService] == c.Service && deploymentOf(info) == c.Deployment, err
}

// placed adds where it happened to an error.
func (a *Node) placed(err error, component string) error {
	f := *fault.Of(err)
	f.Node, f.Component = a.Name, component
	return &f
}
