package reads

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

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
		nodes, err := call.ControlQuery(ctx, "list nodes", call.ReadTimeout, control.ListNodes)
		if err != nil {
			return nil, call.Failure(err)
		}
		for _, n := range nodes {
			names = append(names, n.Name)
		}
	}
	services, err := readServices(ctx)
	if err != nil {
		return nil, call.Failure(err)
	}
	return &ProcessesResult{Nodes: listContainers(ctx, names), Services: services}, nil
}
