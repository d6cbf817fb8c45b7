package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// portTries is how many times a component is started anew because a port
// that was free has been taken.
const portTries = 5

// start runs the new containers beside the old ones, each wave when the one
// before it is healthy.
func (d *deploy) start(ctx workflow.Context) error {
	for _, wave := range d.plan.Starts() {
		if len(wave) == 0 {
			continue
		}
		d.log("Starting containers")
		g := newGroup(ctx)
		for _, step := range wave {
			g.do(func(ctx workflow.Context) error { return d.startOne(ctx, step) })
		}
		if err := g.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// startOne runs one component's new container, and waits until it is healthy.
func (d *deploy) startOne(ctx workflow.Context, step plan.Step) error {
	c := d.component(step)
	if c.Order == servicedef.StopFirst && step.OldNode != "" && d.reachable(step.OldNode) {
		if err := d.stopOld(ctx, step, c); err != nil {
			return err
		}
	}
	digest := d.digest(c)
	spec := activities.ComponentSpec{
		Service:    d.in.Definition.Name,
		Deployment: d.number,
		Definition: c,
		Image:      servicedef.ByDigest(c.Image, digest),
		Spec:       plan.SpecHash(c, digest),
	}
	routes, err := d.runOnFreePorts(ctx, step, spec)
	if err != nil {
		return nodeFault(unanswered(err, "run "+step.Container), step.Node)
	}
	d.members[c.Name] = fleet.Member{
		Component: c.Name, Container: step.Container, Node: step.Node,
		Deployment: d.number, Image: c.Image, Digest: digest, Spec: spec.Spec,
		Active: true, Routes: routes,
	}
	for _, r := range routes {
		d.outcome(c.Name).Ports[r.Name] = r.HostPort
	}
	return nil
}

// stopOld stops the container that must not run beside its successor. It is
// kept, and an undo starts it again.
func (d *deploy) stopOld(ctx workflow.Context, step plan.Step, c servicedef.Component) error {
	if step.OldActive {
		d.undo.start(step.OldNode, step.Container)
	}
	return d.stopContainer(ctx, step.OldNode, step.Container, time.Duration(c.StopTimeout))
}

// stopContainer stops a container and keeps it.
func (d *deploy) stopContainer(ctx workflow.Context, on, container string, timeout time.Duration) error {
	stop := nodeStep(ctx, on, container+": stop", d.left(ctx))
	err := workflow.ExecuteActivity(stop, node.StopContainer, activities.StopContainerInput{
		Service: d.in.Definition.Name, Deployment: d.number, Container: container, Timeout: timeout,
	}).Get(ctx, nil)
	return nodeFault(unanswered(err, "stop "+container), on)
}

// runOnFreePorts allocates ports and runs the container. A port that somebody
// took between the survey and the start is set aside, and another is tried.
func (d *deploy) runOnFreePorts(ctx workflow.Context, step plan.Step, spec activities.ComponentSpec) ([]fleet.Route, error) {
	request := portRequest(d.in.Definition.Name, d.number, spec.Definition)
	for try := 1; ; try++ {
		request.Candidates = d.ports[step.Node]
		routes, err := d.allocate(ctx, request)
		if err == nil {
			spec.Routes = activities.NewRouteSpecs(spec.Definition.Routes, routes)
			d.undo.remove(step.Node, step.Container+fleet.NextSuffix)
			run := nodeStep(ctx, step.Node, step.Component+": run on "+step.Node, d.left(ctx))
			err = workflow.ExecuteActivity(run, node.RunContainer, activities.RunContainerInput{Component: spec}).Get(ctx, nil)
		}
		if err == nil {
			return routes, nil
		}
		f := activities.FaultOf(err)
		if isCancelled(err) || f.Kind != fault.PortInUse || len(request.Routes) == 0 || try == portTries || isStatic(request, f.Port) {
			return nil, err
		}
		request.Taken = append(request.Taken, takenPorts(routes, f.Port)...)
		if err := d.findPorts(ctx, step.Node); err != nil {
			return nil, err
		}
	}
}

// allocate reserves the ports of one component.
func (d *deploy) allocate(ctx workflow.Context, request fleet.PortRequest) ([]fleet.Route, error) {
	if len(request.Routes)+len(request.Static) == 0 {
		return nil, nil
	}
	d.undo.ports = true
	var allocated activities.AllocatePortsResult
	err := promptly(ctx, request.Component+": allocate ports", d.left(ctx), &allocated, "AllocatePorts", request)
	return allocated.Routes, err
}

// findPorts asks the node for free ports again.
func (d *deploy) findPorts(ctx workflow.Context, name string) error {
	step := surveyStep(ctx, name, "find free ports on "+name, d.left(ctx))
	var found activities.SurveyResult
	err := workflow.ExecuteActivity(step, node.Survey, d.surveyInput(name, morePorts)).Get(ctx, &found)
	if err == nil {
		d.ports[name] = found.FreePorts
	}
	return err
}

// portRequest asks for what a component's routes and ports need.
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

// takenPorts are the ports not to try again: the one that the engine named,
// or all of them where it named none.
func takenPorts(routes []fleet.Route, port int) []int {
	if port != 0 {
		return []int{port}
	}
	var taken []int
	for _, r := range routes {
		taken = append(taken, r.HostPort)
	}
	return taken
}
