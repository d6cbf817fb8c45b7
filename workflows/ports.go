package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
)

// portHolders returns the holders of the static ports that the definition names.
func (d *deploy) portHolders(ctx workflow.Context) ([]fleet.PortHolder, error) {
	wanted := plan.WantedPorts(d.desired)
	if !d.desired.Active || len(wanted) == 0 {
		return nil, nil
	}
	return call.Control(ctx, "ask who holds the ports", d.left(ctx), control.PortHolders, wanted)
}

// askPorts reserves the ports of all new containers, before anything is stopped for
// one of them.
func (d *deploy) askPorts(ctx workflow.Context) error {
	g := call.NewGroup(ctx)
	for _, wave := range d.plan.Starts() {
		for _, step := range wave {
			request := d.portRequest(step)
			g.Go(func(ctx workflow.Context) error {
				routes, err := d.allocate(ctx, request)
				d.routes[step.Component] = routes
				return call.NodeFault(call.TimeoutFault(err, "allocate ports"), step.Node)
			})
		}
	}
	return g.Wait(ctx)
}

// allocate reserves the ports of one component.
func (d *deploy) allocate(ctx workflow.Context, request fleet.PortRequest) ([]fleet.Route, error) {
	if len(request.Routes)+len(request.Static) == 0 {
		return nil, nil
	}
	d.undo.ports = true
	request.Run = d.runID
	allocated, err := call.Control(ctx, request.Component+": allocate ports", d.left(ctx), control.AllocatePorts, request)
	return allocated.Routes, err
}

// findPorts asks the node for more free ports.
func (d *deploy) findPorts(ctx workflow.Context, name string) error {
	found, err := call.AskNode(ctx, name, "find free ports on "+name, d.left(ctx), node.Survey, d.surveyInput(name, morePorts))
	if err == nil {
		d.ports[name] = found.Checked().FreePorts
	}
	return err
}

// portRequest asks for the ports that a component's routes and static ports need. No
// route gets a static port of the definition.
func (d *deploy) portRequest(step plan.Step) fleet.PortRequest {
	c := d.component(step)
	request := fleet.PortRequest{
		Service: d.desired.Name, Component: c.Name, Deployment: d.number, Node: c.Node,
		Static: c.StaticPorts(), Giving: d.plan.Giving(),
	}
	for _, r := range c.Routes {
		request.Routes = append(request.Routes, fleet.NewRoute(r, 0))
	}
	static := plan.WantedPorts(d.desired)
	for _, port := range d.ports[step.Node] {
		if !slices.ContainsFunc(static, func(p fleet.HostPort) bool { return p.Node == step.Node && p.Port == port }) {
			request.Candidates = append(request.Candidates, port)
		}
	}
	return request
}

// staticPorts are those of the containers that the deploy has started.
func (d *deploy) staticPorts() []fleet.StaticPort {
	var ports []fleet.StaticPort
	for _, wave := range d.plan.Starts() {
		for _, step := range wave {
			for _, p := range d.component(step).StaticPorts() {
				at := fleet.HostPort{Node: step.Node, Protocol: p.Protocol, Port: p.Host}
				ports = append(ports, fleet.StaticPort{HostPort: at, Component: step.Component})
			}
		}
	}
	return ports
}

func isStatic(c servicedef.Component, port int) bool {
	return slices.ContainsFunc(c.StaticPorts(), func(s servicedef.Port) bool { return s.Host == port })
}

// takenPorts are the ports not to try again: the one that the engine named, or all
// if it named none of them.
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
