package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
)

// withdraw makes the definition of an undeploy, which leaves no component.
func (d *deploy) withdraw(ctx workflow.Context, release fleet.Release) error {
	if release.Newest == 0 {
		return neverDeployed(release.Service)
	}
	d.in.Definition = plan.Undeployed(release)
	return d.tellNodes(ctx, release)
}

// tellNodes has the deploy found by its nodes, which who asked did not know.
func (d *deploy) tellNodes(ctx workflow.Context, release fleet.Release) error {
	required, optional := plan.NodesOf(d.in.Definition, release)
	if nodes := slices.Concat(required, optional); len(nodes) > 0 {
		return workflow.UpsertTypedSearchAttributes(ctx, SearchNode.ValueSet(nodes))
	}
	return nil
}

// neverDeployed says of a service that there is nothing of it.
func neverDeployed(service string) error {
	return fault.New(fault.NotFound, "service %s has never been deployed", service).WithHint("deploy it: mcp deploy %s", service)
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
