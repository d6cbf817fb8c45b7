package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// portTries is how many times a component is started, at most, because a port that
// was free has been taken.
const portTries = 5

// start runs the new containers beside the old ones, each wave when the one before
// it is healthy.
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
		if err := d.stopOld(ctx, step); err != nil {
			return err
		}
	}
	digest := d.digest(c)
	spec := activities.ComponentSpec{
		Service:    d.desired.Name,
		Deployment: d.number,
		Run:        d.runID,
		Definition: c,
		Image:      servicedef.ByDigest(c.Image, digest),
		Spec:       plan.SpecHash(c, digest),
	}
	routes, err := d.runOnFreePorts(ctx, step, spec)
	if err != nil {
		return nodeFault(timeoutFault(err, "run "+step.Container), step.Node)
	}
	d.members[c.Name] = fleet.Member{
		Component: c.Name, Container: step.Container, Node: step.Node,
		Deployment: d.number, Run: d.runID, Image: c.Image, Digest: digest, Spec: spec.Spec,
		Active: true, Routes: routes,
	}
	for _, r := range routes {
		d.outcome(c.Name).Ports[r.Name] = r.HostPort
	}
	return nil
}

// stopOld stops a container that must not run beside its successor. It is kept, and
// an undo starts it again.
func (d *deploy) stopOld(ctx workflow.Context, step plan.Step) error {
	if step.OldActive {
		d.undo.start(step.OldNode, step.Old())
	}
	return d.stopContainer(ctx, step.OldNode, step.Old())
}

// runOnFreePorts allocates ports and runs the container. A port that was taken
// between the survey and the start is set aside, and another is tried.
func (d *deploy) runOnFreePorts(ctx workflow.Context, step plan.Step, spec activities.ComponentSpec) ([]fleet.Route, error) {
	request := portRequest(d.desired.Name, d.number, spec.Definition)
	for try := 1; ; try++ {
		request.Candidates = d.ports[step.Node]
		routes, err := d.allocate(ctx, request)
		if err == nil {
			spec.Routes = activities.NewRouteSpecs(spec.Definition.Routes, routes)
			d.undo.remove(step.Node, step.Container+fleet.NextSuffix)
			run := nodeStep(ctx, step.Node, step.Component+": run on "+step.Node, d.left(ctx))
			var ran activities.RunContainerResult
			err = workflow.ExecuteActivity(run, node.RunContainer, activities.RunContainerInput{Component: spec}).Get(ctx, &ran)
			d.boots[step.Component] = ran.Boot
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
