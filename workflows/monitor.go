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

// MonitorNode looks at a node once: how it is, and what it runs. A schedule
// has it do so again and again.
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
	step := controlStep(ctx, "record how "+name+" is", recordPatience)
	err = workflow.ExecuteActivity(step, control.RecordObservation, look).Get(ctx, nil)
	if f := activities.FaultOf(err); f != nil && f.Kind == fault.NotFound && f.Node == name {
		return unwatch(ctx, name) // the node has been removed, and its schedule is still there
	}
	return err
}
