package onnode

import (
	"context"
	"slices"
	"strconv"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// summarized returns the part of a container that a plan depends on.
func summarized(c runtime.ContainerSummary) fleet.Container {
	id := identityIn(c.Labels)
	return fleet.Container{
		Name:       c.Name,
		Service:    c.Labels[runtime.LabelService],
		Component:  c.Labels[runtime.LabelComponent],
		Deployment: id.number,
		Run:        id.run,
		Spec:       c.Labels[runtime.LabelSpec],
		Running:    c.State == runtime.Running,
		Done:       c.State == runtime.Stopped && c.ExitCode == 0,
		Task:       taskIn(c.Labels),
		ID:         c.ID,
		Image:      c.Image,
		Ports:      c.Ports,
		Unnamed:    unnamed(c.Labels, c.Networks),
	}.Checked()
}

// described returns a container as the monitor observes it.
func described(c runtime.ContainerInfo) fleet.Container {
	container := summarized(c.Summary())
	container.Digest, container.State = c.Digest, string(c.State)
	container.Health, container.ExitCode, container.Restarts, container.Started = c.Health, c.ExitCode, c.Restarts, c.Started
	return container.Checked()
}

// identityIn returns the deployment that created a container, by its labels; none if
// they name none.
func identityIn(labels map[string]string) identity {
	n, err := strconv.ParseInt(labels[runtime.LabelDeployment], 10, 64)
	if err != nil || n < 0 {
		return identity{}
	}
	return identity{int(n), labels[runtime.LabelRun]}
}

// taskIn returns the task that a container is, by its labels; the zero value if it is
// none.
func taskIn(labels map[string]string) fleet.Task {
	return fleet.Task{
		ID: labels[runtime.LabelTask], Kind: fleet.TaskKind(labels[runtime.LabelTaskKind]), Name: labels[runtime.LabelTaskName],
	}
}

// alreadyCutOver reports whether the container of this deployment has its real
// name already.
func alreadyCutOver(ctx context.Context, engine runtime.Runtime, service, name string, deployment identity) (bool, error) {
	info, err := engine.Inspect(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && isOf(info, service, deployment), err
}

// isOf reports whether a deployment created the container.
func isOf(c runtime.ContainerInfo, service string, deployment identity) bool {
	return c.Labels[runtime.LabelService] == service && identityIn(c.Labels) == deployment
}

// unnamed returns why the names of a container do not lead to it; "" if they do.
func unnamed(labels map[string]string, networks []string) string {
	name := servicedef.ServiceNetwork(labels[runtime.LabelService])
	if labels[runtime.LabelAddress] == "" || slices.Contains(networks, name) {
		return ""
	}
	return "it is not connected to network " + name
}
