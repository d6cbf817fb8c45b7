package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/envelopes"
)

// MendInput names a deployment whose undo is incomplete.
type MendInput struct {
	Definition servicedef.Service `json:"definition"`
	Deployment int                `json:"deployment"`
	Run        string             `json:"run,omitempty"`
	Nodes      []string           `json:"nodes"`
	// Adopted are the service's containers that mcp has not started. There will be
	// no others before a newer deployment.
	Adopted []fleet.Adopted `json:"adopted,omitempty"`
}

// Mend waits, without a deadline, until every node of a dirty service is back or has
// been removed from the fleet, and then repairs what its deployment left there. A newer
// deployment makes it superfluous: that one begins with the same work.
func Mend(ctx workflow.Context, in MendInput) error {
	for {
		m := &mend{MendInput: in, nodes: map[string]plan.Node{}, fences: map[string]string{}}
		if err := m.survey(ctx); err != nil || m.superfluous() {
			return err
		}
		if m.absent {
			in.Nodes = m.left()
			return workflow.NewContinueAsNewError(ctx, MendName, in)
		}
		err := m.restore(ctx)
		if err == nil {
			break
		}
		if !call.IsConflict(err) {
			return err
		}
		if err := workflow.Sleep(ctx, call.LockPause); err != nil {
			return err
		}
		if call.Spent(ctx) {
			return workflow.NewContinueAsNewError(ctx, MendName, in)
		}
	}
	step := call.ControlStep(ctx, "release ports", 0)
	if err := workflow.ExecuteActivity(step, control.ReleasePorts, in.Definition.Name).Get(ctx, nil); err != nil {
		return err
	}
	step = call.ControlStep(ctx, in.Definition.Name+" is mended", 0)
	return workflow.ExecuteActivity(step, control.MarkMended, oncontrol.MarkMendedInput{
		Service: in.Definition.Name, Deployment: in.Deployment, Run: in.Run,
	}).Get(ctx, nil)
}

// mend is the state of one attempt of a Mend.
type mend struct {
	MendInput
	nodes  map[string]plan.Node
	fences map[string]string // by node, from its survey
	absent bool              // some node has not answered
	// ahead is the newest other deployment that a node has seen and that keeps this one
	// out.
	ahead   int
	release fleet.Release
}

// superfluous reports whether a newer deployment has begun, or another one has this
// one's number: the registry was restored from a backup.
func (m *mend) superfluous() bool {
	r := m.release
	return m.ahead >= m.Deployment || r.Newest > m.Deployment || r.Newest == m.Deployment && r.NewestRun != m.Run
}

// left returns the nodes that may still have something of the service.
func (m *mend) left() []string {
	_, may := plan.NodesOf(servicedef.Service{}, m.release)
	return slices.DeleteFunc(slices.Clone(m.Nodes), func(name string) bool { return !slices.Contains(may, name) })
}

// mendPatience is how long a Mend waits for a node before it checks whether that is
// still part of the fleet.
const mendPatience = 10 * time.Minute

// survey waits until every node has answered, or some have been silent for long, and
// reads the registry after that: a deployment that begins later is one that the nodes
// will have seen when they are asked to restore anything.
func (m *mend) survey(ctx workflow.Context) error {
	g := call.NewGroup(ctx)
	for _, name := range m.Nodes {
		step := workflow.WithScheduleToStartTimeout(call.UnboundedStep(g.Context(), name, "wait for "+name), mendPatience)
		g.Add(workflow.ExecuteActivity(step, node.Survey,
			surveyInput(m.Definition, m.Deployment, m.Run, name, m.adoptedOn(name))), func(f workflow.Future) error {
			var found onnode.SurveyResult
			err := f.Get(ctx, &found)
			if call.IsUntaken(err) {
				m.absent = true
				return nil
			}
			found = found.Checked()
			m.nodes[name] = plan.Node{Reachable: true, Containers: found.Containers}
			m.fences[name] = found.Fence
			if fleet.Credible(found.Ahead, m.Deployment) {
				m.ahead = max(m.ahead, found.Ahead)
			}
			return err
		})
	}
	if err := g.Wait(ctx); err != nil {
		return err
	}
	step := call.ControlStep(ctx, "load the release", 0)
	return workflow.ExecuteActivity(step, control.LoadRelease, m.Definition.Name).Get(ctx, &m.release)
}

// restore puts back the release on every node.
func (m *mend) restore(ctx workflow.Context) error {
	for _, recovery := range plan.Leftovers(m.release, m.nodes) {
		sealed, err := envelopes.ToStart(ctx, m.release, recovery.Node, recovery.Start, 0)
		if err != nil {
			return err
		}
		step := call.UnboundedStep(ctx, recovery.Node, "put back the release on "+recovery.Node)
		err = workflow.ExecuteActivity(step, node.Restore, onnode.RestoreInput{
			Service: m.Definition.Name, Deployment: m.Deployment, Run: m.Run, Closing: true,
			Fence: m.fences[recovery.Node], Adopted: m.adoptedOn(recovery.Node), Sealed: sealed, Recovery: recovery,
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
