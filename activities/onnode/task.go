package onnode

import (
	"context"
	"slices"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode/health"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// StartTaskResult is the container of a task that runs, or has ended already.
type StartTaskResult struct {
	Container string `json:"container"`
	ID        string `json:"id"`
	// Boot is the boot of the node's host in which it was found; "" if that is unknown.
	Boot string `json:"boot,omitempty"`
	// Booted is set if the task was not started, because a boot has ended new
	// containers that it needs.
	Booted bool `json:"booted,omitempty"`
}

// createdPause is how long a start of a container may be under way after the worker that
// asked for it has died: the engine shows it when it has the container's lock.
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

// awaitNeeds waits until all containers of the release that a task needs are running: they
// did when it was their turn, but a boot may have ended them since.
func (a *Node) awaitNeeds(ctx context.Context, r *attempt.Reporter, in TaskSpec) error {
	deadline := time.Now().Add(needsTime)
	for _, need := range in.Needs {
		if need.Boot != "" {
			continue // a new one that has ended by itself is a fault of the task's version
		}
		name := need.Container
		for pause := health.FirstPause; ; pause = min(pause+pause/2, longestTaskPause) {
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
