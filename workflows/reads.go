package workflows

import (
	"cmp"
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

// HistoryInput selects deployments of a service.
type HistoryInput struct {
	Service string `json:"service"`
	// Limit is how many of the newest to read; 0 for all.
	Limit int `json:"limit,omitempty"`
	// Steps is the number of the deployment whose steps to read, with their output; 0 for
	// none.
	Steps int `json:"steps,omitempty"`
	// Wait is how long to wait for what is down; 0 for a few seconds.
	Wait time.Duration `json:"wait,omitempty"`
}

// HistoryResult is the deployments of a service.
type HistoryResult struct {
	// Release is the number of the deployment that runs; 0 if none does.
	Release     int                      `json:"release"`
	Deployments []fleet.DeploymentRecord `json:"deployments"`
	// Steps are the runs of the steps of the deployment that was asked for, oldest first.
	Steps []StepRun `json:"steps,omitempty"`
}

// History reads the deployments of a service, newest first.
func History(ctx workflow.Context, in HistoryInput) (*HistoryResult, error) {
	release, err := callControl(ctx, "load the release", cmp.Or(in.Wait, readTimeout), control.LoadRelease, in.Service)
	if err != nil {
		return nil, readFailure(err)
	}
	asked := oncontrol.ListDeploymentsInput{Service: in.Service, Limit: in.Limit}
	deployments, err := callControl(ctx, "list deployments", cmp.Or(in.Wait, readTimeout), control.ListDeployments, asked)
	if err != nil {
		return nil, readFailure(err)
	}
	if deployments == nil {
		deployments = []fleet.DeploymentRecord{}
	}
	result := &HistoryResult{Release: release.Number, Deployments: deployments}
	if in.Steps > 0 {
		if result.Steps, err = stepRuns(ctx, in); err != nil {
			return nil, readFailure(err)
		}
	}
	return result, nil
}

// SnapshotInput names a former release.
type SnapshotInput struct {
	Service string `json:"service"`
	// Number is that of the release; 0 for the one that a rollback goes back to.
	Number int `json:"number"`
	// Wait is how long to wait for what is down; 0 for a few seconds.
	Wait time.Duration `json:"wait,omitempty"`
}

// SnapshotResult is a former release.
type SnapshotResult struct {
	// Snapshot has the number 0 where a rollback was asked for, and there is nothing to go
	// back to.
	fleet.Snapshot
	// Release is the number of the release before which it ran, and Deployed is set where
	// the service has ever been deployed. A release that was asked for by its number has
	// neither.
	Release  int  `json:"release,omitempty"`
	Deployed bool `json:"deployed,omitempty"`
}

// Snapshot reads a former release.
func Snapshot(ctx workflow.Context, in SnapshotInput) (*SnapshotResult, error) {
	result := &SnapshotResult{}
	if in.Number == 0 {
		known, err := History(ctx, HistoryInput{Service: in.Service, Wait: in.Wait})
		if err != nil {
			return nil, err
		}
		in.Number, result.Release, result.Deployed = known.Before(), known.Release, len(known.Deployments) > 0
		if in.Number == 0 {
			return result, nil
		}
	}
	asked := oncontrol.LoadSnapshotInput{Service: in.Service, Number: in.Number}
	snapshot, err := callControl(ctx, "load the former release", cmp.Or(in.Wait, readTimeout), control.LoadSnapshot, asked)
	if err != nil {
		return nil, readFailure(err)
	}
	result.Snapshot = snapshot
	return result, nil
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
