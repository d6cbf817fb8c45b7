package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows/call"
)

// stop stops the containers that should not run, and keeps them.
func (d *deploy) stop(ctx workflow.Context) error {
	if err := d.withdraw(ctx); err != nil {
		return err
	}
	g := call.NewGroup(ctx)
	for _, step := range d.plan.Steps {
		if step.Action != plan.Stop {
			continue
		}
		d.log("Stopping containers")
		if step.OldActive {
			d.undo.start(step.Node, step.Old())
		}
		g.Go(func(ctx workflow.Context) error { return d.stopContainer(ctx, step.Node, step.Old()) })
	}
	return g.Wait(ctx)
}
