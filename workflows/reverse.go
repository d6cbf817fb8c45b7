package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows/call"
)

// reverse puts back the release after a cut-over that not every node could follow:
// nodes hold containers under their new names and their old ones, so they are surveyed
// again. Nothing was committed, and the predecessors are all there. It goes on past a
// node that fails, and returns descriptions of what is not done.
func (d *deploy) reverse(ctx workflow.Context) []string {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	d.log("Putting back the release")
	nodes, undone := d.surveyAgain(ctx)
	g := call.NewGroup(ctx)
	for _, recovery := range plan.Leftovers(d.release, nodes) {
		step := call.NodeStep(g.Context(), recovery.Node, "put back the release on "+recovery.Node, undoTimeout+d.longestStop())
		g.Add(workflow.ExecuteActivity(step, node.Restore, onnode.RestoreInput{
			Service: d.desired.Name, Deployment: d.number, Run: d.runID, Attended: true, Closing: true,
			Adopted: d.release.AdoptedOn(recovery.Node), Recovery: recovery,
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
	countUndo(ctx, len(undone) == 0)
	return undone
}

// surveyAgain surveys the nodes that answered the first survey, and describes those
// that do not answer now.
func (d *deploy) surveyAgain(ctx workflow.Context) (nodes map[string]plan.Node, silent []string) {
	nodes = map[string]plan.Node{}
	g := call.NewGroup(ctx)
	for _, name := range workflow.DeterministicKeys(d.nodes) {
		if !d.reachable(name) {
			continue
		}
		step := call.ShortStep(g.Context(), activities.QueueNode(name), "survey "+name+" again", undoTimeout)
		g.Add(workflow.ExecuteActivity(step, node.Survey, surveyInput(d.desired, d.number, d.runID, name, d.release.AdoptedOn(name))), func(f workflow.Future) error {
			var found onnode.SurveyResult
			if err := f.Get(ctx, &found); err != nil {
				silent = append(silent, "on "+name+" put back the release: "+attempt.FaultOf(err).Message)
				return nil
			}
			nodes[name] = plan.Node{Reachable: true, Containers: found.Checked().Containers}
			return nil
		})
	}
	_ = g.Wait(ctx) // its handlers return no error
	return nodes, silent
}
