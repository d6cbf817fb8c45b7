package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// allocate reserves the ports of one component.
func (d *deploy) allocate(ctx workflow.Context, request fleet.PortRequest) ([]fleet.Route, error) {
	if len(request.Routes)+len(request.Static) == 0 {
		return nil, nil
	}
	d.undo.ports = true
	request.Run = d.runID
	allocated, err := callControl(ctx, request.Component+": allocate ports", d.left(ctx), control.AllocatePorts, request)
	return allocated.Routes, err
}

// findPorts asks the node for more free ports.
func (d *deploy) findPorts(ctx workflow.Context, name string) error {
	found, err := askNode(ctx, name, "find free ports on "+name, d.left(ctx), node.Survey, d.surveyInput(name, morePorts))
	if err == nil {
		d.ports[name] = found.Checked().FreePorts
	}
	return err
}

// portRequest asks for the ports that a component's routes and static ports need.
func portRequest(service string, number int, c servicedef.Component) fleet.PortRequest {
	request := fleet.PortRequest{Service: service, Component: c.Name, Deployment: number, Node: c.Node, Static: c.StaticPorts()}
	for _, r := range c.Routes {
		request.Routes = append(request.Routes, routePort(r))
	}
	return request
}

// routePort is a route without a host port yet.
func routePort(r servicedef.Route) fleet.Route {
	return fleet.Route{Name: r.Name, Port: r.Port, Mode: r.Mode, Hostname: r.Hostname}
}

func isStatic(request fleet.PortRequest, port int) bool {
	return slices.ContainsFunc(request.Static, func(s servicedef.Port) bool { return s.Host == port })
}

// takenPorts are the ports not to try again: the one that the engine named, or all
// where it named none of them.
func takenPorts(routes []fleet.Route, port int) []int {
	var taken []int
	for _, r := range routes {
		taken = append(taken, r.HostPort)
	}
	if slices.Contains(taken, port) {
		return []int{port}
	}
	return taken
}
