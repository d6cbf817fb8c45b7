package reads

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
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
	// Routes are those that edges serve, if a service has any.
	Routes []PublishedRoute `json:"routes,omitempty"`
}

// Status reads services and what edges serve of them, and lists the containers of their
// nodes.
func Status(ctx workflow.Context, in StatusInput) (*StatusResult, error) {
	services, err := call.Control(ctx, "list services", call.ReadTimeout, control.ListServices, oncontrol.ListServicesInput{Names: in.Services, Forbidden: true})
	if err != nil {
		return nil, call.Failure(err)
	}
	result := &StatusResult{Services: services}
	atEdges := func(s fleet.ServiceRecord) bool { return s.Release.Definition != nil && s.Release.Definition.AtEdges() }
	if slices.ContainsFunc(services, atEdges) {
		if result.Routes, err = publishedRoutes(ctx, ""); err != nil {
			return nil, call.Failure(err)
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

// Services reads all services, from the registry only.
func Services(ctx workflow.Context) ([]fleet.ServiceRecord, error) {
	services, err := readServices(ctx)
	if err != nil {
		return nil, call.Failure(err)
	}
	return services, nil
}

// readServices reads all services.
func readServices(ctx workflow.Context) ([]fleet.ServiceRecord, error) {
	return call.Control(ctx, "list services", call.ReadTimeout, control.ListServices, oncontrol.ListServicesInput{})
}

// listContainers lists the containers of nodes, side by side. A node that does not
// answer has an error in its place.
func listContainers(ctx workflow.Context, names []string) map[string]NodeContainers {
	nodes := make(map[string]NodeContainers, len(names))
	g := call.NewGroup(ctx)
	for _, name := range names {
		step := call.ReadStep(g.Context(), name, "list containers on "+name)
		g.Add(workflow.ExecuteActivity(step, node.ListContainers, onnode.ListContainersInput{}), func(f workflow.Future) error {
			found := NodeContainers{Node: name}
			if err := call.NodeFault(f.Get(ctx, &found.Containers), name); err != nil {
				found.Error = attempt.FaultOf(err)
			}
			nodes[name] = found
			return nil
		})
	}
	_ = g.Wait(ctx) // its handlers return no error
	return nodes
}
