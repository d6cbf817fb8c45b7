package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows/call"
)

// swaps are, by node, the containers that change places at the cut-over.
func (d *deploy) swaps() map[string]onnode.CutOverInput {
	swaps := map[string]onnode.CutOverInput{}
	add := func(node string, change func(*onnode.CutOverInput)) {
		if d.reachable(node) {
			in := swaps[node]
			in.Service, in.Deployment, in.Run, in.Adopted = d.desired.Name, d.number, d.runID, d.release.AdoptedOn(node)
			change(&in)
			swaps[node] = in
		}
	}
	for _, step := range d.plan.Steps {
		starts := step.Action == plan.Create || step.Action == plan.Replace
		if starts {
			old := step.Old()
			if step.OldNode != step.Node {
				old.ID = ""
			}
			once := d.component(step).RunsOnce()
			add(step.Node, func(in *onnode.CutOverInput) {
				in.Replace = append(in.Replace, old)
				if once {
					in.Once = append(in.Once, old.Name)
				}
			})
		}
		if step.Action == plan.Remove || starts && step.OldNode != step.Node {
			add(step.OldNode, func(in *onnode.CutOverInput) { in.Leave = append(in.Leave, step.Old()) })
		}
	}
	return swaps
}

// cutOver gives the new containers their names, on all nodes side by side. While no
// node has renamed anything, undo undoes the deploy. After that it goes forward as far
// as it can: a node that does not answer is waited for, and containers that a boot has
// ended start again. If a node cannot follow, reverse puts back the release.
func (d *deploy) cutOver(ctx workflow.Context) error {
	swaps := d.swaps()
	if len(swaps) > 0 {
		d.log("Cutting over")
	}
	for {
		refusals, err := d.swap(ctx, swaps)
		if err != nil || len(refusals) == 0 {
			d.forward = d.renamed || err == nil
			return err
		}
		remaining := map[string]onnode.CutOverInput{}
		for _, name := range workflow.DeterministicKeys(refusals) {
			if !d.booted(refusals[name]) {
				d.forward = d.renamed
				return refusals[name].Refused
			}
			remaining[name] = swaps[name]
		}
		if err := d.startAgain(ctx, remaining); err != nil {
			d.forward = d.renamed
			return err
		}
		swaps = remaining
	}
}

// swap makes nodes cut over, and returns the refusals. A node that fails is waited for,
// because part of its renames may have been done.
func (d *deploy) swap(ctx workflow.Context, swaps map[string]onnode.CutOverInput) (map[string]onnode.CutOverResult, error) {
	refusals := map[string]onnode.CutOverResult{}
	g := call.NewPatientGroup(ctx)
	for _, name := range workflow.DeterministicKeys(swaps) {
		step := call.ShortStep(ctx, activities.QueueNode(name), "cut over on "+name, max(undoTimeout, d.left(ctx)))
		g.Add(workflow.ExecuteActivity(step, node.CutOver, swaps[name]), func(f workflow.Future) error {
			var done onnode.CutOverResult
			err := f.Get(ctx, &done)
			if err == nil && done.Refused != nil {
				refusals[name] = done
				return nil
			}
			d.renamed = true // or may have
			return call.NodeFault(err, name)
		})
	}
	return refusals, g.Wait(ctx)
}

// booted reports whether a boot has ended the container for which a node refuses to cut
// over. Otherwise it has ended by itself, which is a failure of the new version.
func (d *deploy) booted(r onnode.CutOverResult) bool {
	result, ran := d.ran[r.Refused.Component]
	return ran && result.Boot != r.Boot
}

// commit makes this deployment the release. It waits for Postgres without a
// deadline: the containers have their names already.
func (d *deploy) commit(ctx workflow.Context) error {
	return d.commitRelease(ctx, fleet.CommitRequest{
		Active:  d.desired.Active,
		Members: plan.Members(d.desired, d.release, d.plan, d.members),
		Jobs:    plan.Jobs(d.desired, d.release, d.plan, d.digest),
		Static:  d.staticPorts(),

		StepImages: d.stepImages(),
	})
}

// commitRelease makes this deployment the release, and sets the memo's phase for
// clients that wait for the lock.
func (d *deploy) commitRelease(ctx workflow.Context, request fleet.CommitRequest) error {
	request.Service, request.Deployment, request.Run = d.desired.Name, d.number, d.runID
	request.Succeeds, request.Addresses = !d.verb.removes, d.answered
	request.Secrets = d.hasSecrets()
	if request.Definition == nil && d.desired.HasSecrets() {
		request.Definition = &d.desired // it was begun without versions
	}
	stale, err := call.Control(ctx, "commit the release", 0, control.CommitRelease, request)
	if err != nil {
		d.result.Undone = append(d.result.Undone, "commit the release")
		return err
	}
	d.committed, d.stale, d.released = true, stale, workflow.Now(ctx)
	succeeded(ctx)
	if err := workflow.UpsertMemo(ctx, map[string]any{MemoPhase: PhaseRetiring}); err != nil {
		workflow.GetLogger(ctx).Warn("phase is not recorded", "error", err)
	}
	return nil
}
