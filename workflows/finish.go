package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
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

// swaps are, by node, the containers that change places at the cut-over.
func (d *deploy) swaps() map[string]activities.CutOverInput {
	swaps := map[string]activities.CutOverInput{}
	add := func(node string, change func(*activities.CutOverInput)) {
		if d.reachable(node) {
			in := swaps[node]
			in.Service, in.Deployment, in.Adopted = d.in.Definition.Name, d.number, d.release.AdoptedOn(node)
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

// cutOver gives the new containers their names, on every node at once. While
// no node has renamed anything, the deploy can still be undone. After that it
// waits for a node that fails now, since part of the renames may have been
// done; what it cannot complete, Mend undoes.
func (d *deploy) cutOver(ctx workflow.Context) error {
	swaps := d.swaps()
	if len(swaps) > 0 {
		d.log("Cutting over")
	}
	var refused *fault.Error
	renamed := false
	g := &group{selector: workflow.NewSelector(ctx), ctx: ctx, cancel: func() {}}
	for _, name := range workflow.DeterministicKeys(swaps) {
		step := shortStep(ctx, activities.QueueNode(name), "cut over on "+name, max(undoPatience, d.left(ctx)))
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

// commit makes this deployment the release. It waits for Postgres for as long
// as it takes: the containers have their names already.
func (d *deploy) commit(ctx workflow.Context) error {
	return d.commitRelease(ctx, fleet.CommitRequest{
		Active:  d.in.Definition.Active,
		Members: plan.Members(d.in.Definition, d.release, d.plan, d.members),
	})
}

// commitRelease makes this deployment the release, and tells who waits for it.
func (d *deploy) commitRelease(ctx workflow.Context, request fleet.CommitRequest) error {
	request.Service, request.Deployment = d.in.Definition.Name, d.number
	if err := promptly(ctx, "commit the release", 0, &d.stale, "CommitRelease", request); err != nil {
		d.result.Undone = append(d.result.Undone, "commit the release")
		return err
	}
	d.committed = true
	if err := workflow.UpsertMemo(ctx, map[string]any{MemoPhase: PhaseRetiring}); err != nil {
		workflow.GetLogger(ctx).Warn("nobody sees that only retiring is left", "error", err)
	}
	return nil
}

// first reports whether nothing ran before this deploy, and nothing is left of
// one that failed.
func (d *deploy) first() bool {
	return len(d.release.Components) == 0 && len(d.plan.Recovery) == 0 && len(d.plan.Unreachable) == 0 && !d.plan.Follows()
}

// retire removes the predecessors, and lets their ports rest. The deploy has
// succeeded; what stays makes the service dirty.
func (d *deploy) retire(ctx workflow.Context) {
	if d.first() {
		return
	}
	d.log("Retiring the predecessors")
	if drain := d.drain(); drain > 0 {
		if err := workflow.Sleep(ctx, drain); err != nil {
			workflow.GetLogger(ctx).Warn("predecessors are not drained", "error", err)
		}
	}
	for _, containers := range d.retirements() {
		d.retireAll(ctx, containers)
	}
	for _, name := range d.plan.Unreachable {
		d.result.Undone = append(d.result.Undone, "retire on "+name+": the node does not answer")
	}
	d.restPorts = true
}

// retireAll stops and removes predecessors, by node, on all nodes side by side.
// A node that fails is not asked again: what it still has is left to Mend.
func (d *deploy) retireAll(ctx workflow.Context, containers map[string][]string) {
	g := newGroup(ctx)
	for _, name := range workflow.DeterministicKeys(containers) {
		if !d.reachable(name) {
			continue
		}
		rounds := 1 + len(containers[name])/activities.ParallelStops
		step := nodeStep(g.ctx, name, "retire on "+name, undoPatience+time.Duration(rounds)*d.stopTimeout())
		g.add(workflow.ExecuteActivity(step, node.Retire, activities.RetireInput{
			Service: d.in.Definition.Name, Deployment: d.number, Containers: containers[name], Timeout: d.stopTimeout(),
			Adopted: d.release.AdoptedOn(name),
		}), func(f workflow.Future) error {
			if err := f.Get(ctx, nil); err != nil {
				d.result.Undone = append(d.result.Undone, "retire on "+name+": "+activities.FaultOf(err).Message)
				delete(d.nodes, name)
			}
			return nil
		})
	}
	_ = g.wait(ctx) // its handlers return no error
}

// drain is how long the predecessors are still to serve after the cut-over: the
// longest of those with routes that run beside their successors.
func (d *deploy) drain() (longest time.Duration) {
	for _, s := range d.plan.Steps {
		member, c := d.release.Components[s.Component], d.component(s)
		if s.Action == plan.Replace && len(member.Routes) > 0 && c.Order == servicedef.StartFirst {
			longest = max(longest, time.Duration(c.Drain))
		}
	}
	return longest
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
			cause = fault.New(fault.Conflict, "the %s of %s was cancelled", d.in.Verb(), r.Service)
		}
		r.Error = d.waitedFor(ctx, activities.FaultOf(cause))
		if len(r.Undone) == 0 {
			r.Undone = d.putBack(ctx)
		}
	}
	// What an earlier deployment left is put right only by one that succeeds
	// with the whole service, and touches its nodes.
	r.Dirty = len(r.Undone) > 0 || d.release.Dirty && (cause != nil || len(d.in.Only) > 0 || d.in.Adopt)
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	d.record(ctx)
	if r.Dirty {
		d.leaveToMend(ctx)
	}
	elapsed := workflow.Now(ctx).Sub(d.started)
	r.ElapsedMS = elapsed.Milliseconds()
	countDeploy(ctx, d.in.Verb(), r, elapsed)
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
	request := fleet.FinishRequest{Service: r.Service, Deployment: d.number, Outcome: string(r.Outcome), Undone: r.Undone, Dirty: r.Dirty, ReleasePorts: d.restPorts}
	if r.Error != nil {
		request.ErrorKind, request.ErrorMessage = string(r.Error.Kind), r.Error.Message
	}
	if err := promptly(ctx, "write the outcome: "+string(r.Outcome), 0, nil, "FinishDeployment", request); err != nil {
		log.Error("outcome is not recorded", "error", err)
	}
}
