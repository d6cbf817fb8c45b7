package onnode

import (
	"context"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// hasRun reports whether the program of a container was ever started.
func hasRun(c runtime.ContainerInfo) bool {
	switch c.State {
	case runtime.Created, runtime.Removing:
		return !c.Started.IsZero()
	}
	return true
}

// passTask fails when a deployment newer than that of a step has been here.
func (a *Node) passTask(in TaskSpec) error {
	if in.Kind != fleet.StepTask {
		return nil
	}
	return a.Fence.pass(in.Component.Service, identityOf(in.Component))
}

// insideTask runs work that changes the container of a task: while no other does and,
// for a step, inside the fence of its service. Closing keeps the task from being
// started here after that.
func insideTask[T any](ctx context.Context, a *Node, in TaskSpec, closing bool, work func(ctx context.Context, engine runtime.Runtime) (T, error)) (T, error) {
	guarded := func(ctx context.Context, engine runtime.Runtime) (T, error) {
		leave, err := a.tasks.enter(ctx, in.ID, closing)
		if err != nil {
			var none T
			return none, err
		}
		defer leave()
		return work(ctx, engine)
	}
	if in.Kind == fleet.StepTask {
		s := step{service: in.Component.Service, identity: identityOf(in.Component), closing: closing}
		return inside(ctx, a, s, guarded)
	}
	return guarded(ctx, uninterrupted{a.Runtime, &a.readers})
}

// taskContainer describes the container of a task. One that has its name and not its id
// is a Conflict.
func (a *Node) taskContainer(ctx context.Context, engine runtime.Runtime, in TaskSpec) (runtime.ContainerInfo, error) {
	info, err := engine.Inspect(ctx, in.Container())
	if err == nil && (info.Labels[runtime.LabelTask] != in.ID || info.Labels[runtime.LabelService] != in.Component.Service) {
		return info, fault.New(fault.Conflict, "container %s is not that of %s %s", info.Name, in.Kind, in.Name).
			WithHint("remove or rename it on %s", a.Name)
	}
	return info, err
}
