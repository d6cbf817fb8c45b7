package onnode

import (
	"time"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// TaskSpec is a task as it is sent to a node.
type TaskSpec struct {
	fleet.Task
	// Component is what to run, as a component without routes and ports; its name is
	// that of the task. Its deployment fences a step, and not a job.
	Component activities.ComponentSpec `json:"component"`
	// Timeout is how long the task may run, by the node's clock; 0 for no limit.
	Timeout servicedef.Duration `json:"timeout,omitempty"`
	// Needs are the containers of the node that must run when the task is started.
	Needs []Need `json:"needs,omitempty"`
}

// Need is a container that a task depends on.
type Need struct {
	Container string `json:"container"`
	// Boot is the boot of the node's host in which the deployment of the task has started
	// it; "" for a container of the release, which a boot starts again.
	Boot string `json:"boot,omitempty"`
}

// Container returns the name of the task's container.
func (t TaskSpec) Container() string { return t.Task.Container(t.Component.Service) }

// timedOut reports whether, at a given time, a task had run for too long.
func (t TaskSpec) timedOut(c runtime.ContainerInfo, at time.Time) bool {
	return t.Timeout > 0 && !c.Started.IsZero() && at.Sub(c.Started) >= time.Duration(t.Timeout)
}

// taskContainerSpec returns the specification for the engine.
func taskContainerSpec(in TaskSpec, publish string) runtime.ContainerSpec {
	spec := containerSpec(in.Component, in.Container(), publish)
	delete(spec.Labels, runtime.LabelComponent)
	spec.Labels[runtime.LabelTask] = in.ID
	spec.Labels[runtime.LabelTaskKind] = string(in.Kind)
	spec.Labels[runtime.LabelTaskName] = in.Name
	spec.Restart, spec.Ports = "no", nil
	return spec
}
