package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// stop stops what should not run, and keeps it.
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

// changed are, by node, the containers that step back at the cut-over.
func (d *deploy) changed() map[string][]string {
	changed := map[string][]string{}
	add := func(node, container string) {
		if node != "" && d.reachable(node) && !slices.Contains(changed[node], container) {
			changed[node] = append(changed[node], container)
		}
	}
	for _, step := range d.plan.Steps {
		switch step.Action {
		case plan.Create, plan.Replace:
			add(step.OldNode, step.Container)
			add(step.Node, step.Container)
		case plan.Remove:
			add(step.OldNode, step.Container)
		}
	}
	return changed
}

// cutOver gives the new containers their names, on every node at once. It
// waits for a node that fails now for as long as the deadline lets it: a part
// of the renames may have been done.
func (d *deploy) cutOver(ctx workflow.Context) error {
	changed := d.changed()
	if len(changed) == 0 {
		return nil
	}
	d.log("Cutting over")
	g := newGroup(ctx)
	for _, name := range workflow.DeterministicKeys(changed) {
		step := renameStep(g.ctx, name, "cut over on "+name, max(undoPatience, d.left(ctx)))
		g.add(workflow.ExecuteActivity(step, node.CutOver, activities.CutOverInput{
			Service: d.in.Definition.Name, Deployment: d.number, Containers: changed[name],
		}), func(f workflow.Future) error {
			if err := f.Get(ctx, nil); err != nil {
				d.result.Undone = append(d.result.Undone, "cut over on "+name)
				return nodeFault(err, name)
			}
			return nil
		})
	}
	return g.wait(ctx)
}

// commit makes this deployment the release. It waits for Postgres for as long
// as it takes: the containers have their names already.
func (d *deploy) commit(ctx workflow.Context) error {
	step := controlStep(ctx, "commit the release", 0)
	err := workflow.ExecuteActivity(step, control.CommitRelease, plan.CommitRequest{
		Service:    d.in.Definition.Name,
		Deployment: d.number,
		Active:     d.in.Definition.Active,
		Members:    plan.Members(d.in.Definition, d.release, d.plan, d.members),
	}).Get(ctx, nil)
	if err != nil {
		d.result.Undone = append(d.result.Undone, "commit the release")
		return err
	}
	d.committed = true
	return workflow.UpsertMemo(ctx, map[string]any{MemoPhase: PhaseRetiring})
}

// drain is how long a predecessor still serves after the cut-over: who looked
// up its port a moment ago, a proxy or a client, must not find it closed.
const drain = time.Second

// retire removes the predecessors, and lets their ports rest. The deploy has
// succeeded; what stays makes the service dirty.
func (d *deploy) retire(ctx workflow.Context) {
	changed := d.changed()
	d.log("Retiring the predecessors")
	if d.servedBefore() {
		if err := workflow.Sleep(ctx, drain); err != nil {
			workflow.GetLogger(ctx).Warn("predecessors are not drained", "error", err)
		}
	}
	g := newGroup(ctx)
	for _, name := range workflow.DeterministicKeys(changed) {
		step := nodeStep(g.ctx, name, "retire on "+name, undoPatience+d.stopTimeout())
		g.add(workflow.ExecuteActivity(step, node.Retire, activities.RetireInput{
			Service: d.in.Definition.Name, Deployment: d.number, Containers: changed[name], Timeout: d.stopTimeout(),
		}), func(f workflow.Future) error {
			if err := f.Get(ctx, nil); err != nil {
				d.result.Undone = append(d.result.Undone, "retire on "+name+": "+activities.FaultOf(err).Message)
			}
			return nil
		})
	}
	_ = g.wait(ctx) // its handlers return no error
	for _, name := range d.plan.Unreachable {
		d.result.Undone = append(d.result.Undone, "retire on "+name+": the node does not answer")
	}
	release := controlStep(ctx, "release ports", 0)
	if err := workflow.ExecuteActivity(release, control.ReleasePorts, d.in.Definition.Name).Get(ctx, nil); err != nil {
		d.result.Undone = append(d.result.Undone, "release ports: "+activities.FaultOf(err).Message)
	}
}

// servedBefore reports whether a predecessor with routes is still serving.
func (d *deploy) servedBefore() bool {
	return slices.ContainsFunc(d.plan.Steps, func(s plan.Step) bool {
		member := d.release.Components[s.Component]
		return s.Action == plan.Replace && len(member.Routes) > 0 && d.component(s).Order == servicedef.StartFirst
	})
}

// stopTimeout is the longest of the components', of this release or the last.
func (d *deploy) stopTimeout() time.Duration {
	longest := 10 * time.Second
	for _, c := range d.in.Definition.Components {
		longest = max(longest, time.Duration(c.StopTimeout))
	}
	if d.release.Definition != nil {
		for _, c := range d.release.Definition.Components {
			longest = max(longest, time.Duration(c.StopTimeout))
		}
	}
	return longest
}

// finish puts back what must be put back, writes the outcome down and makes
// the result. The error that ended the deploy is never replaced by another.
func (d *deploy) finish(ctx workflow.Context, cause error) (*Result, error) {
	r := d.result
	switch {
	case cause == nil && d.committed:
		r.Outcome = Succeeded
	case cause == nil:
		r.Outcome = Unchanged
	default:
		r.Outcome = Failed
		if ctx.Err() != nil && !d.forward {
			r.Outcome = Cancelled
			cause = fault.New(fault.Conflict, "the deploy of %s was cancelled", r.Service)
		}
		r.Error = d.waitedFor(ctx, activities.FaultOf(cause))
		if len(r.Undone) == 0 {
			r.Undone = d.putBack(ctx)
		}
	}
	r.Dirty = len(r.Undone) > 0
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	d.record(ctx)
	if r.Dirty {
		d.leaveToMend(ctx)
	}
	r.ElapsedMS = workflow.Now(ctx).Sub(d.started).Milliseconds()
	if r.Error != nil {
		return nil, failure(r.Outcome, r.Error, *r)
	}
	return r, nil
}

// record writes the outcome to the registry and to the search attributes.
func (d *deploy) record(ctx workflow.Context) {
	r := d.result
	log := workflow.GetLogger(ctx)
	if err := workflow.UpsertTypedSearchAttributes(ctx, SearchOutcome.ValueSet(string(r.Outcome))); err != nil {
		log.Warn("outcome is not searchable", "error", err)
	}
	d.log("**" + string(r.Outcome) + "**")
	if d.number == 0 {
		return // it was never opened
	}
	request := plan.FinishRequest{Service: r.Service, Deployment: d.number, Outcome: string(r.Outcome), Undone: r.Undone}
	if r.Error != nil {
		request.ErrorKind, request.ErrorMessage = string(r.Error.Kind), r.Error.Message
	}
	step := controlStep(ctx, "write the outcome: "+string(r.Outcome), 0)
	if err := workflow.ExecuteActivity(step, control.FinishDeployment, request).Get(ctx, nil); err != nil {
		log.Error("outcome is not recorded", "error", err)
	}
}
