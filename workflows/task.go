package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// runTask runs the task of a step on a node to its end. A node that is away is waited for
// until the time that the deploy has left has passed: beside that, the task has its own
// timeout. A result is how the task has ended, whatever that is; an error means that this is
// not known, and that the task may still run. EndTask ends it then. The container stays until
// removeTask, which comes after the result is recorded.
func (d *deploy) runTask(ctx workflow.Context, step servicedef.Step, task onnode.TaskSpec) (fleet.TaskResult, error) {
	name := task.Component.Definition.Node
	sealed, err := withEnvelopes(ctx, task, d.left(ctx))
	if err != nil {
		return fleet.TaskResult{}, err
	}
	for {
		var started onnode.StartTaskResult
		start := nodeStep(ctx, name, task.Name+": start on "+name, d.left(ctx))
		if err := workflow.ExecuteActivity(start, node.StartTask, sealed).Get(ctx, &started); err != nil {
			return fleet.TaskResult{}, err
		}
		if !started.Booted {
			break
		}
		if err := d.startAgain(ctx, map[string]onnode.CutOverInput{name: {}}); err != nil {
			return fleet.TaskResult{}, err
		}
		sealed.Needs = d.needs(step, name)
	}
	var result fleet.TaskResult
	await := nodeStep(ctx, name, task.Name+": run", taskTime(task)+d.left(ctx))
	err = workflow.ExecuteActivity(await, node.AwaitTask, task).Get(ctx, &result)
	return result.Checked(), err
}

// taskTime bounds what a task takes on a node that answers.
func taskTime(task onnode.TaskSpec) time.Duration {
	if task.Timeout == 0 {
		return unlimitedTask
	}
	return time.Duration(task.Timeout) + time.Duration(task.Component.Definition.StopTimeout) + stopTime
}

// unlimitedTask is how long a task without a timeout is waited for.
const unlimitedTask = 365 * 24 * time.Hour

// endTask ends a task within its stop timeout, whether it was started or not: nothing
// starts it after that. Ctx is one that is not cancelled.
func endTask(ctx workflow.Context, name string, task onnode.TaskSpec) (fleet.TaskResult, error) {
	var result fleet.TaskResult
	step := nodeStep(ctx, name, task.Name+": stop on "+name, undoTimeout+time.Duration(task.Component.Definition.StopTimeout))
	err := workflow.ExecuteActivity(step, node.StopTask, task).Get(ctx, &result)
	return result.Checked(), err
}

// removeTask removes the container of a task whose result is recorded.
func removeTask(ctx workflow.Context, name string, task onnode.TaskSpec) error {
	step := nodeStep(ctx, name, task.Name+": remove its container", undoTimeout)
	return workflow.ExecuteActivity(step, node.RemoveTask, task).Get(ctx, nil)
}

// recordTask records a task and how it stands. A left of 0 is without a deadline.
func recordTask(ctx workflow.Context, left time.Duration, r fleet.TaskRecord) error {
	return sendControl(ctx, "record "+r.Name+": "+string(r.State), left, control.RecordTask, r)
}
