package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
)

// recordPatience is how long a look waits for Postgres to be written down; the
// next one tells what it would have told.
const recordPatience = 20 * time.Second

// recordObservation is the activity's name: a local one that is named by its
// function would be called on a Control that is nil.
const recordObservation = "RecordObservation"

// MonitorNode looks at a node once: how it is, and what it runs. A schedule
// has it do so again and again. It waits for nothing that follows from it.
func MonitorNode(ctx workflow.Context, name string) error {
	look := plan.Observation{Node: name, At: workflow.Now(ctx)}
	var found activities.ObserveNodeResult
	err := workflow.ExecuteActivity(readStep(ctx, name, "look at "+name), node.ObserveNode).Get(ctx, &found)
	switch {
	case isCancelled(err):
		return err
	case err != nil:
		look.Problem = activities.FaultOf(nodeFault(err, name)).Message
	default:
		look.Status, look.Containers = &found.Status, found.Containers
	}
	look.Age = workflow.Now(ctx).Sub(look.At)
	// On the spot, by the worker that runs this: a look comes twice a minute from
	// each node, and what it found would travel and be kept twice.
	step := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: shortCall, ScheduleToCloseTimeout: recordPatience, RetryPolicy: &waiting,
		Summary: "record how " + name + " is",
	})
	var told activities.RecordObservationResult
	err = workflow.ExecuteLocalActivity(step, recordObservation, look).Get(ctx, &told)
	if f := activities.FaultOf(err); f != nil && f.Kind == fault.NotFound && f.Node == name {
		return unwatch(ctx, name) // the node has been removed, and its schedule is still there
	}
	if err != nil {
		return err
	}
	for _, release := range told.Heal {
		if err := heal(ctx, name, release); err != nil {
			return err
		}
	}
	for _, destination := range told.Alerting {
		o := workflow.ChildWorkflowOptions{WorkflowID: AlertID(destination), StaticSummary: "tell the " + destination}
		if err := leave(ctx, o, AlertName, destination); err != nil {
			return err
		}
	}
	return nil
}

// healPatience is how long a deploy that nobody asked for waits for what is
// down, and holds the service's lock.
const healPatience = 5 * time.Minute

// heal has a release deployed again, after a look at a node. A deploy of the
// service that is under way will do.
func heal(ctx workflow.Context, name string, release plan.Snapshot) error {
	in := DeployInput{
		Definition: release.Definition, Rollback: release.Number, Digests: release.Digests, Reconcile: true,
		Deadline: healPatience, Who: "monitor", From: name,
	}
	return leave(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: DeployID(release.Definition.Name), StaticSummary: in.Summary(), Memo: in.Memo(), TypedSearchAttributes: in.Attributes(),
	}, DeployName, in)
}
