package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
)

// withdraw makes the definition of an undeploy, which leaves no component.
func (d *deploy) withdraw(ctx workflow.Context, release plan.Release) error {
	if release.Newest == 0 {
		return fault.New(fault.NotFound, "service %s has never been deployed", release.Service)
	}
	d.in.Definition = plan.Undeployed(release)
	// Who asked did not know the nodes.
	if _, nodes := plan.NodesOf(d.in.Definition, release); len(nodes) > 0 {
		return workflow.UpsertTypedSearchAttributes(ctx, SearchNode.ValueSet(nodes))
	}
	return nil
}

// retirements are the containers to retire, by node, in the order in which
// they go. What has a successor goes all at once. An undeploy leaves no
// component without one that it depends on.
func (d *deploy) retirements() []map[string][]string {
	if !d.in.Undeploy {
		swaps, all := d.swaps(), map[string][]string{}
		for _, name := range workflow.DeterministicKeys(swaps) {
			all[name] = slices.Concat(swaps[name].Replace, swaps[name].Leave)
		}
		return []map[string][]string{all}
	}
	var waves []map[string][]string
	for _, steps := range d.plan.Ends() {
		wave := map[string][]string{}
		for _, step := range steps {
			wave[step.OldNode] = append(wave[step.OldNode], step.Container)
		}
		waves = append(waves, wave)
	}
	return waves
}
