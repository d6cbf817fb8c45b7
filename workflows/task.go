package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// taskTime bounds what a task takes on a node that answers.
func taskTime(task onnode.TaskSpec) time.Duration {
	if task.Timeout == 0 {
		return unlimitedTask
	}
	return time.Duration(task.Timeout) + time.Duration(task.Component.Definition.StopTimeout) + call.StopTime
}

// unlimitedTask is how long a task without a timeout is waited for.
const unlimitedTask = 365 * 24 * time.Hour

// endTask ends a task within its stop timeout, whether it was started or not: nothing
// starts it after that. Ctx is one that is not cancelled.
func endTask(ctx workflow.Context, name string, task onnode.TaskSpec) (fleet.TaskResult, error) {
	var result fleet.TaskResult
	step := call.NodeStep(ctx, name, task.Name+": stop on "+name, undoTimeout+time.Duration(task.Component.Definition.StopTimeout))
	err := workflow.ExecuteActivity(step, node.StopTask, task).Get(ctx, &result)
	return result.Checked(), err
}

// removeTask removes the container of a task whose result is recorded.
func removeTask(ctx workflow.Context, name string, task onnode.TaskSpec) error {
	step := call.NodeStep(ctx, name, task.Name+": remove its container", undoTimeout)
	return workflow.ExecuteActivity(step, node.RemoveTask, task).Get(ctx, nil)
}

// recordTask records a task and its state. A left of 0 means no deadline.
func recordTask(ctx workflow.Context, left time.Duration, r fleet.TaskRecord) error {
	return call.ControlSend(ctx, "record "+r.Name+": "+string(r.State), left, control.RecordTask, r)
}
