package oncontrol

import (
	"context"

	"github.com/metacircular/mcp/internal/fleet"
)

// AllocatePortsResult holds the routes with their host ports.
type AllocatePortsResult struct {
	Routes []fleet.Route `json:"routes,omitempty"`
}

// PortHolders returns the holders of those of the ports that are held.
func (a *Control) PortHolders(ctx context.Context, ports []fleet.HostPort) ([]fleet.PortHolder, error) {
	return a.Registry.PortHolders(ctx, ports)
}

// AllocatePorts reserves host ports for one component of one deployment.
func (a *Control) AllocatePorts(ctx context.Context, in fleet.PortRequest) (AllocatePortsResult, error) {
	routes, err := a.Registry.AllocatePorts(ctx, in)
	return AllocatePortsResult{Routes: routes}, err
}

// ReleasePorts sets every port of the service to rest that its committed
// release does not use.
func (a *Control) ReleasePorts(ctx context.Context, service string) error {
	return a.Registry.ReleasePorts(ctx, service, a.PortRest)
}
