package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/envelopes"
)

// longestRetryPause is the longest pause before a step is run again.
const longestRetryPause = 30 * time.Second

// tasks are the planned steps that run at some time.
func (d *deploy) tasks(when servicedef.When) []servicedef.Step {
	var run []servicedef.Step
	for _, task := range d.plan.Tasks {
		if step, defined := d.desired.Step(task.Name); defined && step.When == when {
			run = append(run, step)
		}
	}
	return run
}

// tryOut runs the steps that come last, when the new containers have their names. The
// deploy can still be cancelled then, and be put back.
func (d *deploy) tryOut(ctx workflow.Context) error {
	for _, step := range d.tasks(servicedef.StepAfter) {
		d.forward = false
		if err := d.runStep(ctx, step); err != nil {
			return err
		}
	}
	d.forward = true
	return nil
}

// runStep runs a step, and again as often as its definition says while it does not
// succeed. The time that it takes does not count as time that the deploy waits for what is
// down.
func (d *deploy) runStep(ctx workflow.Context, step servicedef.Step) error {
	began := workflow.Now(ctx)
	defer func() { d.deadline = d.deadline.Add(workflow.Now(ctx).Sub(began)) }()
	d.log("Running " + step.Name)
	pause := time.Second
	var result fleet.TaskResult
	for retry := range 1 + step.Retries {
		if retry > 0 {
			if err := workflow.Sleep(ctx, pause); err != nil {
				return err
			}
			pause = min(2*pause, longestRetryPause)
		}
		var err error
		if result, err = d.tryStep(ctx, step, 1+retry); err != nil || result.State == fleet.TaskSucceeded {
			return err
		}
	}
	return d.stepFault(step, result)
}

// tryStep runs a step once, and records how it ended. An error means that the step is
// ended, or cannot be, and that it is not known what it has done.
func (d *deploy) tryStep(ctx workflow.Context, step servicedef.Step, try int) (fleet.TaskResult, error) {
	task := d.task(step, try)
	name := task.Component.Definition.Node
	record := fleet.TaskRecord{
		Task: task.Task, Service: d.desired.Name, Deployment: d.number, Node: name, Container: task.Container(),
		Image: task.Component.Definition.Image, Try: try, TaskResult: fleet.TaskResult{State: fleet.TaskRunning},
	}
	d.undo.remove(name, task.Container())
	if err := recordTask(ctx, d.left(ctx), record); err != nil {
		return fleet.TaskResult{}, err
	}
	result, cause := d.runTask(ctx, step, task)
	ending, _ := workflow.NewDisconnectedContext(ctx)
	var alive error
	if cause != nil {
		cause = call.NodeFault(call.TimeoutFault(cause, "run step "+step.Name), name)
		if result, alive = endTask(ending, name, task); alive != nil {
			result = fleet.TaskResult{State: fleet.TaskLost, Detail: "could not be stopped: " + attempt.FaultOf(alive).Message}
		}
	}
	record.TaskResult = result
	d.result.Steps = append(d.result.Steps, StepResult{Name: step.Name, Node: name, Try: try, TaskResult: result})
	countStep(ctx, result.State)
	if err := recordTask(ending, 0, record); err != nil {
		workflow.GetLogger(ctx).Error("step is not recorded", "step", step.Name, "error", err)
	}
	if alive == nil {
		if err := removeTask(ending, name, task); err != nil {
			workflow.GetLogger(ctx).Warn("container of a step remains", "container", task.Container(), "error", err)
		}
	}
	if cause != nil && !call.IsCancelled(cause) {
		d.failedSteps = append(d.failedSteps, fleet.FailedStep{Node: name, Step: step.Name, Detail: attempt.FaultOf(cause).Message})
	}
	return result, cause
}

// runTask runs the task of a step on a node to its end. A node that is away is waited for
// until the time that the deploy has left has passed: in addition, the task has its own
// timeout. A result is how the task has ended, whatever that is; an error means that this is
// not known, and that the task may still run. EndTask ends it then. The container stays until
// removeTask, which comes after the result is recorded.
func (d *deploy) runTask(ctx workflow.Context, step servicedef.Step, task onnode.TaskSpec) (fleet.TaskResult, error) {
	name := task.Component.Definition.Node
	sealed, err := envelopes.Fill(ctx, task, d.left(ctx))
	if err != nil {
		return fleet.TaskResult{}, err
	}
	for {
		var started onnode.StartTaskResult
		start := call.NodeStep(ctx, name, task.Name+": start on "+name, d.left(ctx))
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
	await := call.NodeStep(ctx, name, task.Name+": run", taskTime(task)+d.left(ctx))
	err = workflow.ExecuteActivity(await, node.AwaitTask, task).Get(ctx, &result)
	return result.Checked(), err
}

// task is a run of a step.
func (d *deploy) task(step servicedef.Step, try int) onnode.TaskSpec {
	c := d.desired.StepComponent(step)
	digest := d.digest(c)
	return onnode.TaskSpec{
		Task: fleet.Task{ID: fmt.Sprintf("%s/%s/%d", d.runID, step.Name, try), Kind: fleet.StepTask, Name: step.Name},
		Component: activities.ComponentSpec{
			Service: d.desired.Name, Deployment: d.number, Run: d.runID, Definition: c.ForNode(),
			Image: servicedef.ByDigest(c.Image, digest), Spec: plan.SpecHash(c, digest),
		},
		Timeout: step.Timeout, Needs: d.needs(step, c.Node),
	}
}

// needs are the containers on a node that a step depends on: those of the release, which a
// boot starts again, and the new ones, which this deploy has to start again.
func (d *deploy) needs(step servicedef.Step, node string) []onnode.Need {
	var needs []onnode.Need
	for _, component := range workflow.DeterministicKeys(d.desired.StartsBefore(step)) {
		c, _ := d.desired.Component(component) // StartsBefore returns only those that exist
		if c.Node != node || c.IsJob() {
			continue
		}
		need := onnode.Need{Container: servicedef.ContainerNameFor(d.desired.Name, component)}
		if _, isNew := d.members[component]; isNew && step.When == servicedef.StepBefore {
			need.Container += fleet.NextSuffix
			need.Boot = d.ran[component].Boot
			if need.Boot == "" {
				continue // nothing shows whether a boot has ended it
			}
		}
		needs = append(needs, need)
	}
	return needs
}

// stepFault is the fault of a step that has not succeeded.
func (d *deploy) stepFault(step servicedef.Step, result fleet.TaskResult) error {
	name := d.desired.StepComponent(step).Node
	d.failedSteps = append(d.failedSteps, fleet.FailedStep{Node: name, Step: step.Name, Detail: result.Detail})
	kind := fault.Unhealthy
	if result.State == fleet.TaskLost {
		kind = fault.Unavailable
	}
	f := fault.New(kind, "step %s %s", step.Name, result.Detail)
	if runs := step.Retries + 1; runs > 1 {
		f.Message += fmt.Sprintf(", as run %d of %d", runs, runs)
	}
	switch result.State {
	case fleet.TaskTimedOut:
		f = f.WithHint("raise timeout in its [[steps]], or see what it waits for: mcp history %s %d", d.desired.Name, d.number)
	case fleet.TaskLost:
		f = f.WithHint("see what it has done, then deploy again; retries in its [[steps]] lets mcp run it again by itself")
	default:
		f = f.WithHint("see all of its output: mcp history %s %d", d.desired.Name, d.number)
	}
	f.Component, f.Node, f.Log = step.Name, name, result.Log
	return f
}
