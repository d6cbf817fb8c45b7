package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/policy"
)

// StatusInput selects services.
type StatusInput struct {
	// Services selects by name; empty means all.
	Services []string `json:"services,omitempty"`
}

// NodeContainers is the answer of one node.
type NodeContainers struct {
	Node       string            `json:"node"`
	Containers []fleet.Container `json:"containers,omitempty"`
	// Error is why the node did not answer; nil if it did.
	Error *fault.Error `json:"error,omitempty"`
}

// StatusResult is the services as the registry has them, and the containers of their
// nodes.
type StatusResult struct {
	Services []fleet.ServiceRecord     `json:"services"`
	Nodes    map[string]NodeContainers `json:"nodes"`
	// Routes are those that edges serve, where a service has any.
	Routes []PublishedRoute `json:"routes,omitempty"`
}

// Status reads services and what edges serve of them, and lists the containers of their
// nodes.
func Status(ctx workflow.Context, in StatusInput) (*StatusResult, error) {
	services, err := callControl(ctx, "list services", readTimeout, control.ListServices, oncontrol.ListServicesInput{Names: in.Services, Forbidden: true})
	if err != nil {
		return nil, readFailure(err)
	}
	result := &StatusResult{Services: services}
	atEdges := func(s fleet.ServiceRecord) bool { return s.Release.Definition != nil && s.Release.Definition.AtEdges() }
	if slices.ContainsFunc(services, atEdges) {
		if result.Routes, err = publishedRoutes(ctx, ""); err != nil {
			return nil, readFailure(err)
		}
	}
	wanted := map[string]bool{}
	for _, s := range services {
		for _, m := range s.Release.Members() {
			wanted[m.Node] = true
		}
		if s.Release.Retiring { // also on nodes that the service has left
			for _, name := range s.Release.Touched {
				wanted[name] = true
			}
		}
	}
	result.Nodes = listContainers(ctx, workflow.DeterministicKeys(wanted))
	return result, nil
}

// Services reads all services from the registry alone.
func Services(ctx workflow.Context) ([]fleet.ServiceRecord, error) {
	services, err := readServices(ctx)
	if err != nil {
		return nil, readFailure(err)
	}
	return services, nil
}

// NodeStates reads the nodes, each with its last observation.
func NodeStates(ctx workflow.Context) ([]fleet.NodeState, error) {
	states, err := queryControl(ctx, "list nodes", readTimeout, control.ListNodeStates)
	if err != nil {
		return nil, readFailure(err)
	}
	return states, nil
}

// EventsInput selects events.
type EventsInput struct {
	fleet.EventQuery
	// Since is how far back to read; 0 for no limit.
	Since time.Duration `json:"since,omitempty"`
}

// Events reads events, oldest first.
func Events(ctx workflow.Context, in EventsInput) ([]fleet.Event, error) {
	if in.Since > 0 {
		in.From = workflow.Now(ctx).Add(-in.Since) // events have the same clock
	}
	events, err := callControl(ctx, "list events", readTimeout, control.ListEvents, in.EventQuery)
	if err != nil {
		return nil, readFailure(err)
	}
	return events, nil
}

// AuditInput selects actions.
type AuditInput struct {
	fleet.AuditQuery
	// For is how far back to read; 0 for no limit.
	For time.Duration `json:"for,omitempty"`
}

// Audit reads actions, oldest first.
func Audit(ctx workflow.Context, in AuditInput) ([]fleet.AuditRecord, error) {
	if in.For > 0 {
		in.Since = workflow.Now(ctx).Add(-in.For) // actions have the same clock
	}
	list, err := callControl(ctx, "read the audit", readTimeout, control.ListAudit, in.AuditQuery)
	if err != nil {
		return nil, readFailure(err)
	}
	return list, nil
}

// NodeHistoryInput names a node, and how far back to read.
type NodeHistoryInput struct {
	Node  string        `json:"node"`
	Since time.Duration `json:"since"`
}

// NodeHistory reads the recorded status of a node over time.
func NodeHistory(ctx workflow.Context, in NodeHistoryInput) (*fleet.NodeHistory, error) {
	asked := oncontrol.LoadNodeHistoryInput{Node: in.Node, From: workflow.Now(ctx).Add(-in.Since)} // observations have the same clock
	history, err := callControl(ctx, "read the history of "+in.Node, readTimeout, control.LoadNodeHistory, asked)
	if err != nil {
		return nil, readFailure(err)
	}
	return &history, nil
}

// NodePolicy asks a node for its policy.
func NodePolicy(ctx workflow.Context, name string) (*policy.Policy, error) {
	var found policy.Policy
	err := workflow.ExecuteActivity(readStep(ctx, name, "read the policy of "+name), node.GetPolicy).Get(ctx, &found)
	if err != nil {
		return nil, readFailure(nodeFault(err, name))
	}
	found = found.Checked()
	return &found, nil
}

// ProcessesInput selects nodes.
type ProcessesInput struct {
	// Nodes selects by name; empty means all.
	Nodes []string `json:"nodes,omitempty"`
}

// ProcessesResult is every container of the nodes, mcp's or not, and the services,
// to which they may belong.
type ProcessesResult struct {
	Nodes    map[string]NodeContainers `json:"nodes"`
	Services []fleet.ServiceRecord     `json:"services"`
}

// Processes lists the containers of nodes.
func Processes(ctx workflow.Context, in ProcessesInput) (*ProcessesResult, error) {
	names := in.Nodes
	if len(names) == 0 {
		nodes, err := queryControl(ctx, "list nodes", readTimeout, control.ListNodes)
		if err != nil {
			return nil, readFailure(err)
		}
		for _, n := range nodes {
			names = append(names, n.Name)
		}
	}
	services, err := readServices(ctx)
	if err != nil {
		return nil, readFailure(err)
	}
	return &ProcessesResult{Nodes: listContainers(ctx, names), Services: services}, nil
}

// readServices reads all services.
func readServices(ctx workflow.Context) ([]fleet.ServiceRecord, error) {
	return callControl(ctx, "list services", readTimeout, control.ListServices, oncontrol.ListServicesInput{})
}

// listContainers lists the containers of nodes, side by side. A node that does not
// answer has an error in its place.
func listContainers(ctx workflow.Context, names []string) map[string]NodeContainers {
	nodes := make(map[string]NodeContainers, len(names))
	g := newGroup(ctx)
	for _, name := range names {
		step := readStep(g.ctx, name, "list containers on "+name)
		g.add(workflow.ExecuteActivity(step, node.ListContainers, onnode.ListContainersInput{}), func(f workflow.Future) error {
			found := NodeContainers{Node: name}
			if err := nodeFault(f.Get(ctx, &found.Containers), name); err != nil {
				found.Error = attempt.FaultOf(err)
			}
			nodes[name] = found
			return nil
		})
	}
	_ = g.wait(ctx) // its handlers return no error
	return nodes
}
