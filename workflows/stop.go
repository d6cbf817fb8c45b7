package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/plan"
)

// stop stops the containers that should not run, and keeps them.
func (d *deploy) stop(ctx workflow.Context) error {
	g := newGroup(ctx)
	for _, step := range d.plan.Steps {
		if step.Action != plan.Stop {
			continue
		}
		d.log("Stopping containers")
		if step.OldActive {
			d.undo.start(step.Node, step.Container)
		}
		timeout := time.Duration(d.component(step).StopTimeout)
		g.do(func(ctx workflow.Context) error { return d.stopContainer(ctx, step.Node, step.Container, timeout) })
	}
	return g.wait(ctx)
}

// stopContainer stops a container and keeps it.
func (d *deploy) stopContainer(ctx workflow.Context, on, container string, timeout time.Duration) error {
	stop := stopStep(ctx, on, container+": stop", timeout, d.left(ctx))
	err := workflow.ExecuteActivity(stop, node.StopContainer, activities.StopContainerInput{
		Service: d.desired.Name, Deployment: d.number, Container: container, Timeout: timeout,
	}).Get(ctx, nil)
	return nodeFault(timeoutFault(err, "stop "+container), on)
}
