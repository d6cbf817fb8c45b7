package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
)

// PlanResult is what a deploy would do.
type PlanResult struct {
	Plan plan.Plan `json:"plan"`
	// Builds are the images that it would build and push first.
	Builds []string `json:"builds"`
	// Release is the number of the release that it starts from.
	Release int `json:"release"`
}

// Plan makes the plan of a deploy. It changes nothing and takes no lock.
func Plan(ctx workflow.Context, in DeployInput) (*PlanResult, error) {
	d := newDeploy(ctx, in)
	d.deadline = workflow.Now(ctx).Add(planDeadline)
	if err := promptly(ctx, "load the release", readDeadline, &d.release, "LoadRelease", in.Definition.Name); err != nil {
		return nil, readFailure(err)
	}
	d.in.Definition = plan.Merge(d.release.Definition, in.Definition, in.Only)
	looks := newGroup(ctx)
	d.askImages(looks)
	if err := d.look(ctx, looks); err != nil {
		return nil, readFailure(err)
	}
	if err := d.decide(); err != nil {
		return nil, readFailure(err)
	}
	return d.planned, nil
}

// readFailure is the error of a read; it has no result.
func readFailure(err error) error {
	return failure(Failed, activities.FaultOf(err), struct{}{})
}

// StatusInput selects services.
type StatusInput struct {
	// Services selects by name; empty means all.
	Services []string `json:"services,omitempty"`
}

// NodeContainers is what one node answered.
type NodeContainers struct {
	Node       string            `json:"node"`
	Containers []fleet.Container `json:"containers,omitempty"`
	// Error is why it did not answer; nil if it did.
	Error *fault.Error `json:"error,omitempty"`
}

// StatusResult is what the registry says of the services, and what their
// nodes do.
type StatusResult struct {
	Services []fleet.ServiceRecord     `json:"services"`
	Nodes    map[string]NodeContainers `json:"nodes"`
}

// Status reads services and looks at their nodes.
func Status(ctx workflow.Context, in StatusInput) (*StatusResult, error) {
	result := &StatusResult{}
	asked := activities.ListServicesInput{Names: in.Services}
	if err := promptly(ctx, "list services", readDeadline, &result.Services, "ListServices", asked); err != nil {
		return nil, readFailure(err)
	}
	wanted := map[string]bool{}
	for _, s := range result.Services {
		for _, m := range s.Release.Members() {
			wanted[m.Node] = true
		}
	}
	result.Nodes = lookAt(ctx, workflow.DeterministicKeys(wanted))
	return result, nil
}

// Services reads what the registry says of all services, and asks no node.
func Services(ctx workflow.Context) ([]fleet.ServiceRecord, error) {
	services, err := readServices(ctx)
	if err != nil {
		return nil, readFailure(err)
	}
	return services, nil
}

// NodeStates reads the nodes, with what the last look at each has found.
func NodeStates(ctx workflow.Context) ([]fleet.NodeState, error) {
	var states []fleet.NodeState
	if err := promptly(ctx, "list nodes", readDeadline, &states, "ListNodeStates"); err != nil {
		return nil, readFailure(err)
	}
	return states, nil
}

// EventsInput selects what the monitor has told.
type EventsInput struct {
	fleet.EventQuery
	// Since is how far back to look; 0 for as far as there is.
	Since time.Duration `json:"since,omitempty"`
}

// Events reads what the monitor has told, oldest first.
func Events(ctx workflow.Context, in EventsInput) ([]fleet.Event, error) {
	if in.Since > 0 {
		in.From = workflow.Now(ctx).Add(-in.Since) // events have the same clock
	}
	var events []fleet.Event
	if err := promptly(ctx, "list events", readDeadline, &events, "ListEvents", in.EventQuery); err != nil {
		return nil, readFailure(err)
	}
	return events, nil
}

// NodeHistoryInput names a node, and how far back to look.
type NodeHistoryInput struct {
	Node  string        `json:"node"`
	Since time.Duration `json:"since"`
}

// NodeHistory reads how a node has been.
func NodeHistory(ctx workflow.Context, in NodeHistoryInput) (*fleet.NodeHistory, error) {
	history := &fleet.NodeHistory{}
	asked := activities.LoadNodeHistoryInput{Node: in.Node, From: workflow.Now(ctx).Add(-in.Since)} // looks have the same clock
	if err := promptly(ctx, "read the history of "+in.Node, readDeadline, history, "LoadNodeHistory", asked); err != nil {
		return nil, readFailure(err)
	}
	return history, nil
}

// ProcessesInput selects nodes.
type ProcessesInput struct {
	// Nodes selects by name; empty means all.
	Nodes []string `json:"nodes,omitempty"`
}

// ProcessesResult is every container of the nodes, mcp's or not, and the
// services, which say whose they are.
type ProcessesResult struct {
	Nodes    map[string]NodeContainers `json:"nodes"`
	Services []fleet.ServiceRecord     `json:"services"`
}

// Processes looks at what runs on the nodes.
func Processes(ctx workflow.Context, in ProcessesInput) (*ProcessesResult, error) {
	names := in.Nodes
	if len(names) == 0 {
		var known []fleet.NodeRecord
		if err := promptly(ctx, "list nodes", readDeadline, &known, "ListNodes"); err != nil {
			return nil, readFailure(err)
		}
		for _, n := range known {
			names = append(names, n.Name)
		}
	}
	services, err := readServices(ctx)
	if err != nil {
		return nil, readFailure(err)
	}
	return &ProcessesResult{Nodes: lookAt(ctx, names), Services: services}, nil
}

// readServices reads all services. Of a deployment under way Temporal is asked
// whether it runs: by the registry, one that was terminated goes on.
func readServices(ctx workflow.Context) ([]fleet.ServiceRecord, error) {
	var services []fleet.ServiceRecord
	if err := promptly(ctx, "list services", readDeadline, &services, "ListServices", activities.ListServicesInput{}); err != nil {
		return nil, err
	}
	for i := range services {
		s := &services[i]
		if s.Deploying == 0 {
			continue
		}
		var held bool
		if err := promptly(ctx, "is "+s.Release.Service+" being deployed?", readDeadline, &held, "Deploying", s.Release.Service); err != nil {
			return nil, err
		}
		if !held {
			s.Deploying = 0
		}
	}
	return services, nil
}

// HistoryInput selects deployments of a service.
type HistoryInput struct {
	Service string `json:"service"`
	// Limit is how many of the newest to read; 0 for all.
	Limit int `json:"limit,omitempty"`
}

// HistoryResult is what has become of a service.
type HistoryResult struct {
	// Release is the number of the deployment that runs; 0 if none does.
	Release     int                      `json:"release"`
	Deployments []fleet.DeploymentRecord `json:"deployments"`
}

// History reads the deployments of a service, newest first.
func History(ctx workflow.Context, in HistoryInput) (*HistoryResult, error) {
	result := &HistoryResult{Deployments: []fleet.DeploymentRecord{}}
	var release fleet.Release
	if err := promptly(ctx, "load the release", readDeadline, &release, "LoadRelease", in.Service); err != nil {
		return nil, readFailure(err)
	}
	result.Release = release.Number
	asked := activities.ListDeploymentsInput{Service: in.Service, Limit: in.Limit}
	if err := promptly(ctx, "list deployments", readDeadline, &result.Deployments, "ListDeployments", asked); err != nil {
		return nil, readFailure(err)
	}
	return result, nil
}

// Snapshot reads a former release.
func Snapshot(ctx workflow.Context, in activities.LoadSnapshotInput) (*fleet.Snapshot, error) {
	var snapshot fleet.Snapshot
	if err := promptly(ctx, "load the former release", readDeadline, &snapshot, "LoadSnapshot", in); err != nil {
		return nil, readFailure(err)
	}
	return &snapshot, nil
}

const (
	// readDeadline is how long a read waits for what is down: somebody sits
	// before it.
	readDeadline = 6 * time.Second
	// planDeadline is for a plan, which also asks image registries.
	planDeadline = 20 * time.Second
)

// lookAt lists the containers of the nodes, side by side. A node that does
// not answer is told in its place.
func lookAt(ctx workflow.Context, names []string) map[string]NodeContainers {
	nodes := make(map[string]NodeContainers, len(names))
	g := newGroup(ctx)
	for _, name := range names {
		step := readStep(g.ctx, name, "list containers on "+name)
		g.add(workflow.ExecuteActivity(step, node.ListContainers, activities.ListContainersInput{}), func(f workflow.Future) error {
			found := NodeContainers{Node: name}
			if err := nodeFault(f.Get(ctx, &found.Containers), name); err != nil {
				found.Error = activities.FaultOf(err)
			}
			nodes[name] = found
			return nil
		})
	}
	_ = g.wait(ctx) // its handlers return no error
	return nodes
}
