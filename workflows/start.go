package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
)

// start runs the steps that come first, each when what it depends on is healthy, and then
// the other new containers.
func (d *deploy) start(ctx workflow.Context) error {
	started := map[string]bool{}
	for _, step := range d.tasks(servicedef.StepBefore) {
		needed := d.desired.StartsBefore(step)
		if err := d.startThose(ctx, started, func(component string) bool { return needed[component] }); err != nil {
			return err
		}
		if err := d.runStep(ctx, step); err != nil {
			return err
		}
	}
	return d.startThose(ctx, started, func(string) bool { return true })
}

// startThose runs new containers beside the old ones, each wave when the one before it is
// healthy: those of the chosen components that are not started yet.
func (d *deploy) startThose(ctx workflow.Context, started map[string]bool, chosen func(component string) bool) error {
	for _, all := range d.plan.Starts() {
		var wave []plan.Step
		for _, step := range all {
			if !started[step.Component] && chosen(step.Component) {
				wave = append(wave, step)
				started[step.Component] = true
			}
		}
		if len(wave) == 0 {
			continue
		}
		if err := d.hold(ctx, wave); err != nil {
			return err
		}
		d.log("Starting containers")
		g := call.NewGroup(ctx)
		for _, step := range wave {
			g.Go(func(ctx workflow.Context) error { return d.startOne(ctx, step) })
		}
		if err := g.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}
