package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
)

// swaps are, by node, the containers that change places at the cut-over.
func (d *deploy) swaps() map[string]activities.CutOverInput {
	swaps := map[string]activities.CutOverInput{}
	add := func(node string, change func(*activities.CutOverInput)) {
		if d.reachable(node) {
			in := swaps[node]
			in.Service, in.Deployment, in.Adopted = d.desired.Name, d.number, d.release.AdoptedOn(node)
			change(&in)
			swaps[node] = in
		}
	}
	for _, step := range d.plan.Steps {
		starts := step.Action == plan.Create || step.Action == plan.Replace
		if starts {
			add(step.Node, func(in *activities.CutOverInput) { in.Replace = append(in.Replace, step.Container) })
		}
		if step.Action == plan.Remove || starts && step.OldNode != step.Node {
			add(step.OldNode, func(in *activities.CutOverInput) { in.Leave = append(in.Leave, step.Container) })
		}
	}
	return swaps
}

// cutOver gives the new containers their names, on all nodes side by side. While no
// node has renamed anything, the deploy can still be undone. After that it waits for
// a node that fails, because part of the renames may have been done; what it cannot
// complete, Mend undoes.
func (d *deploy) cutOver(ctx workflow.Context) error {
	swaps := d.swaps()
	if len(swaps) > 0 {
		d.log("Cutting over")
	}
	var refused *fault.Error
	renamed := false
	g := &group{selector: workflow.NewSelector(ctx), ctx: ctx, cancel: func() {}}
	for _, name := range workflow.DeterministicKeys(swaps) {
		step := shortStep(ctx, activities.QueueNode(name), "cut over on "+name, max(undoTimeout, d.left(ctx)))
		g.add(workflow.ExecuteActivity(step, node.CutOver, swaps[name]), func(f workflow.Future) error {
			var done activities.CutOverResult
			err := f.Get(ctx, &done)
			if err == nil && done.Refused != nil {
				refused = done.Refused
				return nil
			}
			renamed = true // or may have
			return nodeFault(err, name)
		})
	}
	err := g.wait(ctx)
	if err == nil && refused != nil {
		err = refused
	}
	if err != nil && renamed {
		d.result.Undone = append(d.result.Undone, "cut over: some containers may have their new names")
	}
	d.forward = renamed || err == nil
	return err
}

// commit makes this deployment the release. It waits for Postgres without a
// deadline: the containers have their names already.
func (d *deploy) commit(ctx workflow.Context) error {
	return d.commitRelease(ctx, fleet.CommitRequest{
		Active:  d.desired.Active,
		Members: plan.Members(d.desired, d.release, d.plan, d.members),
		Static:  d.staticPorts(),
	})
}

// commitRelease makes this deployment the release, and sets the memo's phase for
// clients that wait for the lock.
func (d *deploy) commitRelease(ctx workflow.Context, request fleet.CommitRequest) error {
	request.Service, request.Deployment = d.desired.Name, d.number
	stale, err := callControl(ctx, "commit the release", 0, control.CommitRelease, request)
	if err != nil {
		d.result.Undone = append(d.result.Undone, "commit the release")
		return err
	}
	d.committed, d.stale = true, stale
	if err := workflow.UpsertMemo(ctx, map[string]any{MemoPhase: PhaseRetiring}); err != nil {
		workflow.GetLogger(ctx).Warn("phase is not recorded", "error", err)
	}
	return nil
}
