package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// MendInput names a deployment whose undo is incomplete.
type MendInput struct {
	Definition servicedef.Service `json:"definition"`
	Deployment int                `json:"deployment"`
	Nodes      []string           `json:"nodes"`
	// Adopted are the service's containers that mcp has not started. There will be
	// no others before a newer deployment.
	Adopted []fleet.Adopted `json:"adopted,omitempty"`
}

// Mend waits, without a deadline, until every node of a dirty service is back, and
// then repairs what its deployment left there. A newer deployment makes it
// superfluous: that one begins with the same work.
func Mend(ctx workflow.Context, in MendInput) error {
	for again := true; again; {
		m := &mend{MendInput: in, nodes: map[string]plan.Node{}, fences: map[string]string{}}
		if err := m.survey(ctx); err != nil || m.newest != in.Deployment {
			return err
		}
		err := m.restore(ctx)
		if again = isConflict(err); err != nil && !again {
			return err
		}
	}
	step := controlStep(ctx, "release ports", 0)
	if err := workflow.ExecuteActivity(step, control.ReleasePorts, in.Definition.Name).Get(ctx, nil); err != nil {
		return err
	}
	step = controlStep(ctx, in.Definition.Name+" is mended", 0)
	return workflow.ExecuteActivity(step, control.MarkMended, activities.MarkMendedInput{
		Service: in.Definition.Name, Deployment: in.Deployment,
	}).Get(ctx, nil)
}

// mend is the state of one attempt of a Mend.
type mend struct {
	MendInput
	nodes  map[string]plan.Node
	fences map[string]string // by node, from its survey
	// newest is the newest deployment that a node or the registry has seen.
	newest  int
	release fleet.Release
}

// survey waits until every node has answered, and reads the registry after that: a
// deployment that begins later is one that the nodes will have seen when they are
// asked to restore anything.
func (m *mend) survey(ctx workflow.Context) error {
	g := newGroup(ctx)
	for _, name := range m.Nodes {
		g.add(workflow.ExecuteActivity(unboundedStep(g.ctx, name, "wait for "+name), node.Survey,
			surveyInput(m.Definition, m.Deployment, name, m.adoptedOn(name))), func(f workflow.Future) error {
			var found activities.SurveyResult
			err := f.Get(ctx, &found)
			m.nodes[name] = plan.Node{Reachable: true, Containers: found.Containers}
			m.fences[name] = found.Fence
			m.newest = max(m.newest, found.Newest)
			return err
		})
	}
	if err := g.wait(ctx); err != nil {
		return err
	}
	step := controlStep(ctx, "load the release", 0)
	err := workflow.ExecuteActivity(step, control.LoadRelease, m.Definition.Name).Get(ctx, &m.release)
	m.newest = max(m.newest, m.release.Newest)
	return err
}

// restore puts back the release on every node.
func (m *mend) restore(ctx workflow.Context) error {
	for _, recovery := range plan.Leftovers(m.release, m.nodes) {
		step := unboundedStep(ctx, recovery.Node, "put back the release on "+recovery.Node)
		err := workflow.ExecuteActivity(step, node.Restore, activities.RestoreInput{
			Service: m.Definition.Name, Deployment: m.Deployment, Closing: true,
			Fence: m.fences[recovery.Node], Adopted: m.adoptedOn(recovery.Node), Recovery: recovery,
		}).Get(ctx, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *mend) adoptedOn(name string) []fleet.Adopted {
	return fleet.Release{Adopted: m.Adopted}.AdoptedOn(name)
}

// startMend leaves a dirty service to a Mend, which outlives this workflow.
func (d *deploy) startMend(ctx workflow.Context) {
	required, optional := plan.NodesOf(d.desired, d.release)
	err := startDetached(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            MendID(d.desired.Name, d.number),
		StaticSummary:         "mend " + d.desired.Name,
		TypedSearchAttributes: workflow.GetTypedSearchAttributes(ctx),
	}, MendName, MendInput{
		Definition: d.desired, Deployment: d.number, Nodes: slices.Concat(required, optional),
		Adopted: slices.Concat(d.release.AdoptedAnywhere(), d.adoption.Adopted),
	})
	if err != nil {
		workflow.GetLogger(ctx).Error("mend is not started", "error", err)
	}
}
