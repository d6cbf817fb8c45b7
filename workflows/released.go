package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
)

// recordRelease records in the history that the deployment has succeeded, if it goes on
// after that: its client need not wait for the rest. A deployment whose containers go
// without successors succeeds when they are gone.
func (d *deploy) recordRelease(ctx workflow.Context) {
	goesOn := len(d.retiring())+len(d.stale.Digests)+len(d.stale.Tags)+len(d.result.Edges) > 0
	if d.verb.removes || !goesOn {
		return
	}
	r := *d.result
	r.Outcome, r.ElapsedMS, r.Retiring = Succeeded, d.elapsed(ctx).Milliseconds(), d.retiring()
	options := workflow.SideEffectOptions{Summary: "the deployment has succeeded"}
	_ = workflow.SideEffectWithOptions(ctx, options, func(workflow.Context) any {
		return Released{Result: &r, Prunes: d.built && len(d.stale.Tags) > 0}
	})
}

// retiring are the predecessors that are about to be removed.
func (d *deploy) retiring() []Retiring {
	var list []Retiring
	for _, step := range d.plan.Steps {
		if (step.Action == plan.Replace || step.Action == plan.Remove) && d.reachable(step.OldNode) {
			old := Retiring{Container: step.Container + fleet.PrevSuffix, Node: step.OldNode}
			if step.Drain > 0 {
				old.DrainMS = d.plan.Drain().Milliseconds()
			}
			list = append(list, old)
		}
	}
	return list
}
