package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// recordPatience is how long a look waits for Postgres to be written down; the
// next one tells what it would have told.
const recordPatience = 20 * time.Second

const (
	// MonitorPatience is when looks that nobody has taken yet are given up.
	MonitorPatience = 2 * time.Minute
	// batch is how many nodes one run looks at, at the most: its history stays
	// short of what Temporal allows even where each has a thousand containers.
	batch = 50
)

// MonitorInput is which nodes to look at.
type MonitorInput struct {
	// Nodes are looked at at once. None stand for all that there are.
	Nodes []string `json:"nodes,omitempty"`
	// Over is the time over which the batches of a large fleet are spread.
	Over time.Duration `json:"over,omitempty"`
}

// Monitor looks at each node once. A schedule has it do so again and again. The
// nodes of a large fleet are looked at in batches, each by a run of its own.
func Monitor(ctx workflow.Context, in MonitorInput) error {
	if len(in.Nodes) > 0 {
		return lookAtAll(ctx, in.Nodes)
	}
	var nodes []fleet.WatchedNode
	step := spotStep(ctx, "which nodes are there?", recordPatience, &waiting)
	if err := workflow.ExecuteLocalActivity(step, "WatchedNodes").Get(ctx, &nodes); err != nil {
		return err
	}
	var answering []string
	for _, n := range nodes {
		if !n.Silent {
			answering = append(answering, n.Name)
		} else if err := leaveLook(ctx, n.Name); err != nil {
			return err
		}
	}
	if len(answering) <= batch {
		return lookAtAll(ctx, answering)
	}
	pause := in.Over / time.Duration((len(answering)+batch-1)/batch)
	for names := range slices.Chunk(answering, batch) {
		o := workflow.ChildWorkflowOptions{
			WorkflowID: fmt.Sprintf("%s+%d", MonitorNodeID(names[0]), len(names)-1), WorkflowExecutionTimeout: MonitorPatience,
			StaticSummary: fmt.Sprintf("look at %d nodes, %s to %s", len(names), names[0], names[len(names)-1]),
		}
		if err := leave(ctx, o, MonitorName, MonitorInput{Nodes: names}); err != nil {
			return err
		}
		if err := workflow.Sleep(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

// lookAtAll looks at nodes side by side. None is in another's way.
func lookAtAll(ctx workflow.Context, names []string) error {
	var failed error
	g := newGroup(ctx)
	for _, name := range names {
		g.do(func(ctx workflow.Context) error {
			if err := MonitorNode(ctx, name); err != nil {
				failed = err
			}
			return nil
		})
	}
	return cmp.Or(g.wait(ctx), failed)
}

// leaveLook has a node looked at by a run of its own: one that does not answer
// takes its time, which is not the others'.
func leaveLook(ctx workflow.Context, name string) error {
	return leave(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: MonitorNodeID(name), WorkflowExecutionTimeout: MonitorPatience, StaticSummary: "look at " + name,
		TypedSearchAttributes: temporal.NewSearchAttributes(SearchNode.ValueSet([]string{name})),
	}, MonitorNodeName, name)
}

// MonitorNode looks at a node once: how it is, and what it runs. It waits for
// nothing that follows from it.
func MonitorNode(ctx workflow.Context, name string) error {
	look := fleet.Observation{Node: name, At: workflow.Now(ctx)}
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
	var told activities.RecordObservationResult
	step := spotStep(ctx, "record how "+name+" is", recordPatience, &waiting)
	err = workflow.ExecuteLocalActivity(step, "RecordObservation", look).Get(ctx, &told)
	if f := activities.FaultOf(err); f != nil && f.Kind == fault.NotFound && f.Node == name {
		return nil // the node has been removed meanwhile
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
func heal(ctx workflow.Context, name string, release fleet.Snapshot) error {
	in := DeployInput{
		Definition: release.Definition, Rollback: release.Number, Digests: release.Digests, Reconcile: true,
		Deadline: healPatience, Who: "monitor", From: name,
	}
	return leave(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: DeployID(release.Definition.Name), StaticSummary: in.Summary(), Memo: in.Memo(), TypedSearchAttributes: in.Attributes(),
	}, DeployName, in)
}
