package workflows

import (
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/envelopes"
)

// recover restores the release if a deploy that did not end left containers
// behind.
func (d *deploy) recover(ctx workflow.Context) error {
	if len(d.plan.Recovery) == 0 {
		return nil
	}
	d.log("Putting back the release after a deploy that did not end")
	sealed := make([][]activities.ComponentSpec, len(d.plan.Recovery))
	for i, recovery := range d.plan.Recovery {
		var err error
		if sealed[i], err = envelopes.ToStart(ctx, d.release, recovery.Node, recovery.Start, d.left(ctx)); err != nil {
			return err
		}
	}
	g := call.NewGroup(ctx)
	for i, recovery := range d.plan.Recovery {
		step := call.NodeStep(g.Context(), recovery.Node, "put back the release on "+recovery.Node, d.left(ctx))
		g.Add(workflow.ExecuteActivity(step, node.Restore, onnode.RestoreInput{
			Service: d.desired.Name, Deployment: d.number, Run: d.runID, Attended: true,
			Adopted: d.release.AdoptedOn(recovery.Node), Sealed: sealed[i], Recovery: recovery,
		}), func(f workflow.Future) error { return call.NodeFault(f.Get(ctx, nil), recovery.Node) })
	}
	return g.Wait(ctx)
}

// putBack undoes the deploy on a disconnected context, because the deploy's may be
// cancelled. It goes on past a step that fails, and returns descriptions of those
// steps.
func (d *deploy) putBack(ctx workflow.Context) []string {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if len(d.undo.nodes) > 0 {
		d.log("Putting back the release")
	}
	var undone []string
	g := call.NewGroup(ctx)
	for _, recovery := range d.undo.nodes {
		recovery.Start = plan.InOrder(d.release, recovery.Start)
		step := call.NodeStep(g.Context(), recovery.Node, "put back the release on "+recovery.Node, undoTimeout+d.longestStop())
		g.Add(workflow.ExecuteActivity(step, node.Restore, onnode.RestoreInput{
			Service: d.desired.Name, Deployment: d.number, Run: d.runID, Attended: true, Closing: true, Recovery: recovery,
			Serving: d.serving(recovery),
		}), func(f workflow.Future) error {
			if err := f.Get(ctx, nil); err != nil {
				undone = append(undone, describeRecovery(recovery)+": "+attempt.FaultOf(err).Message)
			}
			return nil // the other nodes are put back nonetheless
		})
	}
	_ = g.Wait(ctx) // its handlers return no error
	d.restPorts = d.restPorts || d.undo.ports
	if len(d.undo.nodes) > 0 || d.undo.ports {
		countUndo(ctx, len(undone) == 0)
	}
	return undone
}

// serving are the components of the release that a recovery starts, and that are to serve.
func (d *deploy) serving(recovery plan.Recovery) []activities.ComponentSpec {
	var specs []activities.ComponentSpec
	for _, m := range d.release.Members() {
		started := slices.ContainsFunc(recovery.Start, func(r fleet.Ref) bool { return r.Name == m.Container })
		if m.Node != recovery.Node || !started || d.release.Definition == nil {
			continue
		}
		c, defined := d.release.Definition.Component(m.Component)
		if !defined || c.RunsOnce() {
			continue
		}
		c = c.ForNode()
		c.Files = nil
		specs = append(specs, activities.ComponentSpec{
			Service: d.desired.Name, Deployment: m.Deployment, Run: m.Run, Definition: c,
			Routes: activities.NewRouteSpecs(c.Routes, m.Routes),
		})
	}
	return specs
}

// describeRecovery describes a recovery, for the list of steps that failed.
func describeRecovery(r plan.Recovery) string {
	var parts []string
	if len(r.Remove) > 0 {
		parts = append(parts, "remove "+namesOf(r.Remove))
	}
	if len(r.Start) > 0 {
		parts = append(parts, "start "+namesOf(r.Start))
	}
	return "on " + r.Node + " " + strings.Join(parts, " and ")
}

func namesOf(refs []fleet.Ref) string {
	names := make([]string, 0, len(refs))
	for _, r := range refs {
		names = append(names, r.Name)
	}
	return strings.Join(names, ", ")
}
