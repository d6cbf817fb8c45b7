package workflows

import (
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// MendInput names a deployment that could not put everything back.
type MendInput struct {
	Definition servicedef.Service `json:"definition"`
	Deployment int                `json:"deployment"`
	Nodes      []string           `json:"nodes"`
	// StopTimeout is how long a container that has served may take to stop.
	StopTimeout time.Duration `json:"stop_timeout,omitempty"`
}

// Mend waits, for as long as it takes, until every node of a dirty service is
// back, and then puts right what its deployment left there. A newer deployment
// makes it superfluous: that one begins with the same work.
func Mend(ctx workflow.Context, in MendInput) error {
	nodes := map[string]plan.Node{}
	g := newGroup(ctx)
	for _, name := range in.Nodes {
		g.add(workflow.ExecuteActivity(patientStep(g.ctx, name, "wait for "+name), node.Survey,
			surveyInput(in.Definition, in.Deployment, name)), func(f workflow.Future) error {
			var found activities.SurveyResult
			err := f.Get(ctx, &found)
			nodes[name] = plan.Node{Reachable: true, Containers: found.Containers}
			return err
		})
	}
	if err := g.wait(ctx); err != nil {
		return unlessOver(err)
	}
	var release plan.Release
	step := controlStep(ctx, "load the release", 0)
	if err := workflow.ExecuteActivity(step, control.LoadRelease, in.Definition.Name).Get(ctx, &release); err != nil {
		return err
	}
	if release.Newest != in.Deployment {
		return nil
	}
	for _, recovery := range plan.Leftovers(release, nodes) {
		step := patientStep(ctx, recovery.Node, "put back the release on "+recovery.Node)
		err := workflow.ExecuteActivity(step, node.Restore, activities.RestoreInput{
			Service: in.Definition.Name, Deployment: in.Deployment, Timeout: in.StopTimeout, Recovery: recovery,
		}).Get(ctx, nil)
		if err != nil {
			return unlessOver(err)
		}
	}
	step = controlStep(ctx, "release ports", 0)
	if err := workflow.ExecuteActivity(step, control.ReleasePorts, in.Definition.Name).Get(ctx, nil); err != nil {
		return err
	}
	step = controlStep(ctx, in.Definition.Name+" is mended", 0)
	return workflow.ExecuteActivity(step, control.MarkMended, activities.MarkMendedInput{
		Service: in.Definition.Name, Deployment: in.Deployment,
	}).Get(ctx, nil)
}

// patientStep is for steps on a node that may be away for days: the task waits
// in the node's queue, and costs nothing, until its worker is back.
func patientStep(ctx workflow.Context, name, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           activities.QueueNode(name),
		StartToCloseTimeout: time.Hour,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy:         &waiting,
		Summary:             summary,
	})
}

// unlessOver forgives that a newer deployment has begun.
func unlessOver(err error) error {
	if activities.FaultOf(err).Kind == fault.Conflict {
		return nil
	}
	return err
}

// leaveToMend hands a dirty service to a Mend, which outlives this workflow.
func (d *deploy) leaveToMend(ctx workflow.Context) {
	required, optional := plan.NodesOf(d.in.Definition, d.release)
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            MendID(d.in.Definition.Name, d.number),
		ParentClosePolicy:     enums.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:         "mend " + d.in.Definition.Name,
		TypedSearchAttributes: workflow.GetTypedSearchAttributes(ctx),
	})
	child := workflow.ExecuteChildWorkflow(ctx, MendName, MendInput{
		Definition: d.in.Definition, Deployment: d.number, Nodes: slices.Concat(required, optional),
		StopTimeout: d.stopTimeout(),
	})
	if err := child.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("nobody mends the service", "error", err)
	}
}
