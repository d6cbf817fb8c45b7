package onnode

import (
	"context"
	"slices"
	"time"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
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

// StartTaskResult is the container of a task that runs, or has ended already.
type StartTaskResult struct {
	Container string `json:"container"`
	ID        string `json:"id"`
	// Boot is the boot of the node's host in which it was found; "" if that is unknown.
	Boot string `json:"boot,omitempty"`
	// Booted is set where the task was not started, because a boot has ended new
	// containers that it needs.
	Booted bool `json:"booted,omitempty"`
}

// createdPause is how long the start of a container may be under way that a worker has
// asked for which died since: the engine shows it when it has the container's lock.
const createdPause = time.Second

// StartTask pulls the image and starts the container of a task, unless an earlier
// attempt has: one that has run is never started again, whether it runs still, has ended,
// or was ended by a boot. A container of the same step or job of another run is stopped and
// removed first, so that no two run side by side.
func (a *Node) StartTask(ctx context.Context, in TaskSpec) (StartTaskResult, error) {
	return attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (StartTaskResult, error) {
		result, err := a.startTask(ctx, r, in)
		if err != nil {
			err = a.placed(err, in.Name)
		}
		return result, err
	})
}

func (a *Node) startTask(ctx context.Context, r *attempt.Reporter, in TaskSpec) (StartTaskResult, error) {
	result := StartTaskResult{Container: in.Container(), Boot: a.Machine.Boot}
	for try := 1; ; try++ {
		if err := a.passTask(in); err != nil {
			return result, err // before it pulls for nothing
		}
		found, err := a.taskContainer(ctx, a.Runtime, in)
		if err == nil && hasRun(found) {
			result.ID = found.ID
			return result, nil
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return result, err
		}
		if err := a.permit(ctx, in.Component); err != nil {
			return result, err
		}
		if err := a.fetch(ctx, r, in.Component); err != nil {
			return result, err
		}
		if result.Booted = a.bootedSince(in.Needs); result.Booted {
			return result, nil
		}
		if err := a.awaitNeeds(ctx, r, in); err != nil {
			return result, err
		}
		result.ID, err = a.launchTask(ctx, r, in)
		// Until a container uses the image, it may be pruned.
		if !fault.Is(err, fault.NotFound) || try == imageTries {
			return result, err
		}
	}
}

// needsTime is how long a task waits for a container that it needs.
const needsTime = time.Minute

// bootedSince reports whether the host was booted since one of the containers was started.
func (a *Node) bootedSince(needs []Need) bool {
	return slices.ContainsFunc(needs, func(n Need) bool { return n.Boot != "" && n.Boot != a.Machine.Boot })
}

// awaitNeeds waits until the containers of the release that a task needs run: they did when
// it was their turn, but a boot may have ended them since.
func (a *Node) awaitNeeds(ctx context.Context, r *attempt.Reporter, in TaskSpec) error {
	deadline := time.Now().Add(needsTime)
	for _, need := range in.Needs {
		if need.Boot != "" {
			continue // a new one that has ended by itself is a fault of the task's version
		}
		name := need.Container
		for pause := firstPause; ; pause = min(pause+pause/2, longestTaskPause) {
			found, err := a.Runtime.Inspect(ctx, name)
			if err == nil && found.State == runtime.Running {
				break
			}
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			if time.Now().After(deadline) {
				return fault.New(fault.Unavailable, "%s %s waits for container %s, which does not run", in.Kind, in.Name, name).
					WithHint("the node may have been booted: see what it lacks with mcp status %s", in.Component.Service)
			}
			r.Set("start", in.Container()+" waits for "+name)
			if err := attempt.Sleep(ctx, pause); err != nil {
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// launchTask starts the container inside the fence, once a slot is free.
func (a *Node) launchTask(ctx context.Context, r *attempt.Reporter, in TaskSpec) (id string, err error) {
	done, err := a.Slots.take(ctx, r, "start", ParallelStarts)
	if err != nil {
		return "", err
	}
	defer done()
	r.Set("start", in.Container())
	return insideTask(ctx, a, in, false, func(ctx context.Context, engine runtime.Runtime) (string, error) {
		if err := endOthers(ctx, engine, in); err != nil {
			return "", err
		}
		found, err := a.taskContainer(ctx, engine, in)
		if err == nil && found.State == runtime.Created && !hasRun(found) {
			if err := attempt.Sleep(ctx, createdPause); err != nil {
				return "", err
			}
			found, err = a.taskContainer(ctx, engine, in)
		}
		switch {
		case err == nil && hasRun(found):
			return found.ID, nil
		case err == nil && found.State == runtime.Removing: // it has never run
			if err := engine.Remove(ctx, nameOf(found)); err != nil {
				return "", err
			}
		case err != nil && !fault.Is(err, fault.NotFound):
			return "", err
		}
		return a.runNamed(ctx, engine, in.Component, taskContainerSpec(in, a.Publish))
	})
}

// hasRun reports whether the program of a container has been started, at any time.
func hasRun(c runtime.ContainerInfo) bool {
	switch c.State {
	case runtime.Created, runtime.Removing:
		return !c.Started.IsZero()
	}
	return true
}

// endOthers stops and removes the containers of the same step or job that other runs have
// left: the registry lets one run of a job be under way at a time.
func endOthers(ctx context.Context, engine runtime.Runtime, in TaskSpec) error {
	others, err := engine.Summaries(ctx, runtime.Selection{Labels: map[string]string{
		runtime.LabelService: in.Component.Service, runtime.LabelTaskKind: string(in.Kind), runtime.LabelTaskName: in.Name,
	}})
	if err != nil {
		return err
	}
	for _, c := range others {
		if c.Labels[runtime.LabelTask] == in.ID {
			continue
		}
		if err := retire(ctx, engine, in.Component.Service, c.ID); err != nil {
			return err
		}
	}
	return nil
}

// passTask fails when a newer deployment has been here than that of a step.
func (a *Node) passTask(in TaskSpec) error {
	if in.Kind != fleet.StepTask {
		return nil
	}
	return a.Fence.pass(in.Component.Service, identityOf(in.Component))
}

// insideTask runs work that changes the container of a task: while no other does, and
// that of a step inside the fence of its service. Closing keeps the task from being
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

// StopTask ends a task within the stop timeout of its container, whether it was started
// or not, and keeps it from being started here later. It keeps the container until
// RemoveTask.
func (a *Node) StopTask(ctx context.Context, in TaskSpec) (fleet.TaskResult, error) {
	return attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (fleet.TaskResult, error) {
		r.Set("stop", in.Container())
		result, err := insideTask(ctx, a, in, true, func(ctx context.Context, engine runtime.Runtime) (fleet.TaskResult, error) {
			found, err := a.taskContainer(ctx, engine, in)
			if fault.Is(err, fault.NotFound) {
				return fleet.TaskResult{State: fleet.TaskStopped, Detail: "was not started, or has been removed"}, nil
			}
			if err != nil {
				return fleet.TaskResult{}, err
			}
			if !hasRun(found) {
				return fleet.TaskResult{State: fleet.TaskStopped, Detail: "was not started"}, nil
			}
			running := found.State == runtime.Running || found.State == runtime.Other
			if running {
				if err := engine.Stop(ctx, nameOf(found), found.StopTimeout); err != nil {
					return fleet.TaskResult{}, err
				}
			}
			result, err := a.collect(ctx, in)
			if running && err == nil && result.State != fleet.TaskLost {
				result.State, result.Detail = fleet.TaskStopped, "was stopped"
			}
			return result, err
		})
		if err != nil {
			err = a.placed(err, in.Name)
		}
		return result, err
	})
}

// RemoveTask removes the container of a task that has ended.
func (a *Node) RemoveTask(ctx context.Context, in TaskSpec) error {
	_, err := attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (struct{}, error) {
		r.Set("remove", in.Container())
		engine := uninterrupted{a.Runtime, &a.readers}
		leave, err := a.tasks.enter(ctx, in.ID, true)
		if err != nil {
			return struct{}{}, err
		}
		defer leave()
		found, err := a.taskContainer(ctx, engine, in)
		switch {
		case fault.Is(err, fault.NotFound):
			return struct{}{}, nil
		case err != nil:
			return struct{}{}, a.placed(err, in.Name)
		}
		if err := engine.Remove(ctx, nameOf(found)); err != nil {
			return struct{}{}, a.placed(err, in.Name)
		}
		if err := a.lead(ctx, engine, in.Component.Service); err != nil {
			return struct{}{}, a.placed(err, in.Name)
		}
		return struct{}{}, nil
	})
	return err
}
