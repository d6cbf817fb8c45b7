package tend

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

const (
	// MonitorTimeout is when observations that no worker has taken yet are given up.
	MonitorTimeout = 2 * time.Minute
	// batch is how many nodes one run observes at most: its history stays within
	// Temporal's limits even if each has a thousand containers.
	batch = 50
)

// MonitorInput names the nodes to observe.
type MonitorInput struct {
	// Nodes are observed at once; empty means all.
	Nodes []string `json:"nodes,omitempty"`
	// Over is the time over which the batches of a large fleet are spread.
	Over time.Duration `json:"over,omitempty"`
}

// A Monitor observes nodes and edges. Fleet and Node are workflows.
type Monitor struct {
	// Reconcile deploys again a release that does not run on a node as it should. It does
	// not wait for what it starts.
	Reconcile func(ctx workflow.Context, node string, release fleet.Snapshot) error
}

// Fleet observes each node and each edge once. A schedule starts it again and again.
// The nodes of a large fleet are observed in batches, each by a separate run.
func (m Monitor) Fleet(ctx workflow.Context, in MonitorInput) error {
	if len(in.Nodes) > 0 {
		return m.observeNodes(ctx, in.Nodes)
	}
	var failed error
	edges := call.NewGroup(ctx)
	edges.Go(func(ctx workflow.Context) error {
		failed = observeEdges(ctx)
		return nil
	})
	err := m.observeFleet(ctx, in.Over)
	return cmp.Or(err, edges.Wait(ctx), failed)
}

// observeFleet observes all nodes.
func (m Monitor) observeFleet(ctx workflow.Context, over time.Duration) error {
	nodes, err := call.ControlQuery(ctx, "list nodes", call.RecordTimeout, control.WatchedNodes)
	if err != nil {
		return err
	}
	var answering []string
	for _, n := range nodes {
		if !n.Silent {
			answering = append(answering, n.Name)
		} else if err := startMonitorNode(ctx, n.Name); err != nil {
			return err
		}
	}
	if len(answering) <= batch {
		return m.observeNodes(ctx, answering)
	}
	pause := over / time.Duration((len(answering)+batch-1)/batch)
	for names := range slices.Chunk(answering, batch) {
		o := workflow.ChildWorkflowOptions{
			WorkflowID: fmt.Sprintf("%s+%d", monitorNodeID(names[0]), len(names)-1), WorkflowExecutionTimeout: MonitorTimeout,
			StaticSummary: fmt.Sprintf("observe %d nodes, %s to %s", len(names), names[0], names[len(names)-1]),
		}
		if err := call.StartDetached(ctx, o, MonitorName, MonitorInput{Nodes: names}); err != nil {
			return err
		}
		if err := workflow.Sleep(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

// observeNodes observes nodes side by side. None delays another.
func (m Monitor) observeNodes(ctx workflow.Context, names []string) error {
	var failed error
	g := call.NewGroup(ctx)
	for _, name := range names {
		g.Go(func(ctx workflow.Context) error {
			if err := m.Node(ctx, name); err != nil {
				failed = err
			}
			return nil
		})
	}
	return cmp.Or(g.Wait(ctx), failed)
}

// startMonitorNode observes a node in a separate run: a node that does not answer
// delays no other.
func startMonitorNode(ctx workflow.Context, name string) error {
	return call.StartDetached(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: monitorNodeID(name), WorkflowExecutionTimeout: MonitorTimeout, StaticSummary: "observe " + name,
		TypedSearchAttributes: temporal.NewSearchAttributes(call.SearchNode.ValueSet([]string{name})),
	}, MonitorNodeName, name)
}

// Node observes a node once: its status and its containers. It does not wait for what it
// starts.
func (m Monitor) Node(ctx workflow.Context, name string) error {
	observation := fleet.Observation{Node: name, At: workflow.Now(ctx)}
	var found onnode.ObserveNodeResult
	err := workflow.ExecuteActivity(call.ReadStep(ctx, name, "observe "+name), node.ObserveNode).Get(ctx, &found)
	switch {
	case call.IsCancelled(err):
		return err
	case err != nil:
		observation.Problem = attempt.FaultOf(call.NodeFault(err, name)).Message
	default:
		observation.Status, observation.Containers, observation.Policy = &found.Status, found.Containers, found.Policy
	}
	observation.Age = workflow.Now(ctx).Sub(observation.At)
	recorded, err := call.Control(ctx, "record the observation of "+name, call.RecordTimeout, control.RecordObservation, observation)
	if f := attempt.FaultOf(err); f != nil && f.Kind == fault.NotFound && f.Node == name {
		return nil // the node has been removed meanwhile
	}
	if err != nil {
		return err
	}
	for _, release := range recorded.Heal {
		if err := m.Reconcile(ctx, name, release); err != nil {
			return err
		}
	}
	return StartAlerts(ctx, recorded.Alerting)
}
