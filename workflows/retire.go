package workflows

import (
	"cmp"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// first reports whether no container ran before this deploy, and none is left of a
// deploy that failed.
func (d *deploy) first() bool {
	return len(d.release.Components) == 0 && len(d.plan.Recovery) == 0 && len(d.plan.Unreachable) == 0 && !d.plan.Follows()
}

// retire removes the predecessors and releases their ports. The deploy has
// succeeded; what stays makes the service dirty.
func (d *deploy) retire(ctx workflow.Context) {
	if d.first() {
		return
	}
	d.log("Retiring the predecessors")
	d.drain(ctx)
	for _, containers := range d.retirements() {
		d.retireAll(ctx, containers)
	}
	for _, name := range d.plan.Unreachable {
		var kept []string
		for _, step := range d.plan.Steps {
			if step.OldNode == name {
				kept = append(kept, step.Container) // it has its name still
			}
		}
		d.leave(name, kept, cmp.Or(d.silent[name], "the node does not answer"))
	}
	d.restPorts = true
}

// leave records that a node keeps predecessors, which Mend removes.
func (d *deploy) leave(name string, containers []string, problem string) {
	d.result.Undone = append(d.result.Undone, "retire on "+name+": "+problem)
	d.notRetired = append(d.notRetired, fleet.NotRetired{Node: name, Containers: containers, Problem: problem})
}

// retireAll stops and removes predecessors, given by node, on all nodes side by
// side. A node that fails is not asked again: what remains there is left to Mend.
func (d *deploy) retireAll(ctx workflow.Context, containers map[string][]fleet.Ref) {
	g := call.NewGroup(ctx)
	for _, name := range workflow.DeterministicKeys(containers) {
		if !d.reachable(name) {
			continue
		}
		rounds := 1 + len(containers[name])/onnode.ParallelStops
		step := call.NodeStep(g.Context(), name, "retire on "+name, undoTimeout+time.Duration(rounds)*d.longestStop())
		g.Add(workflow.ExecuteActivity(step, node.Retire, onnode.RetireInput{
			Service: d.desired.Name, Deployment: d.number, Run: d.runID, Containers: containers[name],
			Adopted: d.release.AdoptedOn(name),
		}), func(f workflow.Future) error {
			if err := f.Get(ctx, nil); err != nil {
				var kept []string
				for _, old := range d.retiring() {
					if old.Node == name && slices.ContainsFunc(containers[name], func(r fleet.Ref) bool { return r.Name+fleet.PrevSuffix == old.Container }) {
						kept = append(kept, old.Container)
					}
				}
				d.leave(name, kept, attempt.FaultOf(err).Message)
				delete(d.nodes, name)
			}
			return nil
		})
	}
	_ = g.Wait(ctx) // its handlers return no error
}

// retirements are the containers to retire, by node, in waves. What has a successor
// goes in one wave. A removal goes by depends_on: no component is left without one
// that it depends on.
func (d *deploy) retirements() []map[string][]fleet.Ref {
	if !d.verb.removes {
		swaps, all := d.swaps(), map[string][]fleet.Ref{}
		for _, name := range workflow.DeterministicKeys(swaps) {
			all[name] = slices.Concat(swaps[name].Replace, swaps[name].Leave)
		}
		return []map[string][]fleet.Ref{all}
	}
	var waves []map[string][]fleet.Ref
	for _, steps := range d.plan.Ends() {
		wave := map[string][]fleet.Ref{}
		for _, step := range steps {
			wave[step.OldNode] = append(wave[step.OldNode], step.Old())
		}
		waves = append(waves, wave)
	}
	return waves
}
