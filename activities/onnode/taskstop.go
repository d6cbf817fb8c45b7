package onnode

import (
	"context"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

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
			running := found.State.Alive()
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
		if err := a.Names.Lead(ctx, engine, in.Component.Service); err != nil {
			return struct{}{}, a.placed(err, in.Name)
		}
		return struct{}{}, nil
	})
	return err
}
