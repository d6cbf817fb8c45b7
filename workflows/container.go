package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/envelopes"
)

// portTries is how many times a component is started, at most, because a port that
// was free has been taken.
const portTries = 5

// startAgain runs again the new containers of nodes that have booted since these were
// healthy, and waits until they are. Those whose turn has not come are left to it.
func (d *deploy) startAgain(ctx workflow.Context, nodes map[string]onnode.CutOverInput) error {
	for _, name := range workflow.DeterministicKeys(nodes) {
		delete(d.stops, name) // what was stopped may have started at the boot
	}
	for _, wave := range d.plan.Starts() {
		g := call.NewGroup(ctx)
		for _, step := range wave {
			_, booted := nodes[step.Node]
			if _, ran := d.ran[step.Component]; booted && ran {
				g.Go(func(ctx workflow.Context) error { return d.startOne(ctx, step) })
			}
		}
		if err := g.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// startOne runs one component's new container, and waits until it is healthy.
func (d *deploy) startOne(ctx workflow.Context, step plan.Step) error {
	spec := d.spec(step)
	c := spec.Definition
	var err error
	if spec.Envelopes, err = envelopes.Load(ctx, d.desired.Name, c, d.left(ctx)); err != nil {
		return err
	}
	if err := d.stopFirst(ctx, step.StopsFirst); err != nil {
		return err
	}
	routes, err := d.runOnFreePorts(ctx, step, spec)
	if err != nil {
		return call.NodeFault(call.TimeoutFault(err, "run "+step.Container), step.Node)
	}
	d.members[c.Name] = fleet.Member{
		Component: c.Name, Container: step.Container, Node: step.Node,
		Deployment: d.number, Run: d.runID, Image: c.Image, Digest: d.digest(c), Spec: spec.Spec,
		Active: true, Routes: routes, Address: d.ran[c.Name].Address,
	}
	for _, r := range routes {
		d.outcome(c.Name).Ports[r.Name] = r.HostPort
	}
	return nil
}

// spec is the new container of a step, without its ports.
func (d *deploy) spec(step plan.Step) activities.ComponentSpec {
	c := d.component(step)
	digest := d.digest(c)
	return activities.ComponentSpec{
		Service:    d.desired.Name,
		Deployment: d.number,
		Run:        d.runID,
		Definition: c.ForNode(),
		Image:      servicedef.ByDigest(c.Image, digest),
		Spec:       plan.SpecHash(c, digest),
		Again:      d.verb.restores,
	}
}

// stopFirst stops the containers that must not run beside a new one, side by side,
// each once. They are kept, and an undo starts them again.
func (d *deploy) stopFirst(ctx workflow.Context, list []plan.Stopped) error {
	var stops []workflow.Future
	for _, s := range list {
		if d.stops[s.Node] == nil {
			d.stops[s.Node] = map[string]workflow.Future{}
		}
		stop := d.stops[s.Node][s.Name]
		if stop == nil {
			stop = d.stopOne(ctx, s)
			d.stops[s.Node][s.Name] = stop
		}
		stops = append(stops, stop)
	}
	var first error
	for _, stop := range stops { // each has to end, so that an undo races with none
		if err := stop.Get(ctx, nil); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// stopOne begins to stop a container.
func (d *deploy) stopOne(ctx workflow.Context, s plan.Stopped) workflow.Future {
	if s.Active {
		d.undo.start(s.Node, s.Ref)
	}
	stop, settable := workflow.NewFuture(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) { settable.Set(nil, d.stopContainer(ctx, s.Node, s.Ref)) })
	return stop
}

// stopContainer stops a container and keeps it.
func (d *deploy) stopContainer(ctx workflow.Context, on string, container fleet.Ref) error {
	stop := call.StopStep(ctx, on, container.Name+": stop", d.longestStop(), d.left(ctx))
	err := workflow.ExecuteActivity(stop, node.StopContainer, onnode.StopContainerInput{
		Service: d.desired.Name, Deployment: d.number, Run: d.runID, Container: container, Adopted: d.release.AdoptedOn(on),
	}).Get(ctx, nil)
	return call.NodeFault(call.TimeoutFault(err, "stop "+container.Name), on)
}

// runOnFreePorts runs the container on the ports that were allocated for it. One that
// was taken between the survey and the start is set aside, and another is tried.
func (d *deploy) runOnFreePorts(ctx workflow.Context, step plan.Step, spec activities.ComponentSpec) ([]fleet.Route, error) {
	routes := d.routes[step.Component]
	var taken []int
	for try := 1; ; try++ {
		spec.Routes = activities.NewRouteSpecs(spec.Definition.Routes, routes)
		d.undo.remove(step.Node, step.Container+fleet.NextSuffix)
		run := call.NodeStep(ctx, step.Node, step.Component+": run on "+step.Node, d.left(ctx))
		var ran onnode.RunContainerResult
		err := workflow.ExecuteActivity(run, node.RunContainer, onnode.RunContainerInput{Component: spec}).Get(ctx, &ran)
		d.ran[step.Component] = ran
		if err == nil {
			return routes, nil
		}
		f := attempt.FaultOf(err)
		if call.IsCancelled(err) || f.Kind != fault.PortInUse || len(routes) == 0 || try == portTries || isStatic(spec.Definition, f.Port) {
			return nil, err
		}
		taken = append(taken, takenPorts(routes, f.Port)...)
		if err := d.findPorts(ctx, step.Node); err != nil {
			return nil, err
		}
		request := d.portRequest(step)
		request.Taken = taken
		if routes, err = d.allocate(ctx, request); err != nil {
			return nil, err
		}
		d.routes[step.Component] = routes
	}
}
