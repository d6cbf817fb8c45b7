package activities

import (
	"context"
	"strconv"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// summarized returns the part of a container that a plan depends on.
func summarized(c runtime.ContainerSummary) fleet.Container {
	return fleet.Container{
		Name:       c.Name,
		Service:    c.Labels[runtime.LabelService],
		Component:  c.Labels[runtime.LabelComponent],
		Deployment: deploymentIn(c.Labels),
		Spec:       c.Labels[runtime.LabelSpec],
		Running:    c.State == runtime.Running,
	}
}

// described returns a container as the monitor observes it.
func described(c runtime.ContainerInfo) fleet.Container {
	container := summarized(c.Summary())
	container.ID, container.Image, container.Digest, container.State = c.ID, c.Image, c.Digest, string(c.State)
	container.Health, container.ExitCode, container.Restarts, container.Started = c.Health, c.ExitCode, c.Restarts, c.Started
	return container
}

// deploymentOf returns the number of the deployment that created a container; 0 if
// it bears none.
func deploymentOf(c runtime.ContainerInfo) int { return deploymentIn(c.Labels) }

func deploymentIn(labels map[string]string) int {
	n, err := strconv.Atoi(labels[runtime.LabelDeployment])
	if err != nil {
		return 0
	}
	return n
}

// alreadyCutOver reports whether the container of this deployment has its real
// name already.
func alreadyCutOver(ctx context.Context, engine runtime.Runtime, service, name string, deployment int) (bool, error) {
	info, err := engine.Inspect(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && isOf(info, service, deployment), err
}

// isOf reports whether a deployment created the container.
func isOf(c runtime.ContainerInfo, service string, deployment int) bool {
	return c.Labels[runtime.LabelService] == service && deploymentOf(c) == deployment
}
