package workflows

import (
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/adoption"
	"github.com/metacircular/mcp/workflows/call"
)

// adopt makes a release of the containers that run. It touches none of them: it
// changes only the registry, in one transaction.
func (d *deploy) adopt(ctx workflow.Context) error {
	if err := d.match(ctx); err != nil {
		return err
	}
	d.describeAdoption()
	if err := unadoptable(d.adoption); err != nil || len(d.adoption.Adopted) == 0 {
		return err
	}
	if err := d.holdPorts(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // cancelled between two steps: the last moment for it
	}
	d.forward = true
	forward, _ := workflow.NewDisconnectedContext(ctx)
	err := d.commitRelease(forward, fleet.CommitRequest{
		Active: true, Members: d.adoption.Members, Adopted: d.adoption.Adopted, Definition: &d.adoption.Definition,
		Jobs: plan.JobsOf(d.adoption.Definition, d.release),
	})
	if err != nil {
		return err
	}
	// The ports of containers that the adopted ones replace.
	d.restPorts = true
	d.publish(forward)
	return d.recordEdges(forward)
}

// match finds the containers that become components.
func (d *deploy) match(ctx workflow.Context) error {
	d.log("Looking for containers to adopt")
	in := adoption.Input{Desired: d.desired, Release: d.release, Deployment: d.number, Run: d.runID, Digests: d.digests, Nodes: map[string][]fleet.Container{}}
	g := call.NewGroup(ctx)
	for _, name := range workflow.DeterministicKeys(d.nodes) {
		if !d.reachable(name) {
			continue
		}
		g.Go(func(ctx workflow.Context) error {
			found, err := call.AskNode(ctx, name, "list the containers of "+name, d.left(ctx), node.ListContainers, onnode.ListContainersInput{})
			in.Nodes[name] = fleet.CheckedContainers(found)
			return call.NodeFault(call.TimeoutFault(err, "list the containers of "+name), name)
		})
	}
	for _, image := range wantedImages(d.desired, nil) {
		g.Add(findImage(g.Context(), image, min(call.ReadTimeout, d.left(ctx))), func(f workflow.Future) error {
			var found oncontrol.ImageExistsResult
			if err := f.Get(ctx, &found); err != nil {
				return nil // only the prediction of the next deploy is less exact
			}
			d.digests[image] = found.Digest
			return nil
		})
	}
	var services []fleet.ServiceRecord
	step := call.ControlStep(g.Context(), "list services", d.left(ctx))
	g.Add(workflow.ExecuteActivity(step, control.ListServices, oncontrol.ListServicesInput{}), func(f workflow.Future) error {
		return f.Get(ctx, &services)
	})
	if err := g.Wait(ctx); err != nil {
		return err
	}
	for _, s := range services {
		in.Services = append(in.Services, s.Release.Service)
	}
	d.adoption = adoption.Make(in)
	return nil
}

// unadoptable is the fault of an adoption that takes over nothing, unless every
// container is mcp's already.
func unadoptable(a adoption.Adoption) error {
	if len(a.Problems) > 0 {
		return fault.New(fault.Conflict, "%s cannot be adopted: %s", a.Service, strings.Join(a.Problems, "; "))
	}
	if len(a.Adopted)+len(a.Managed) > 0 {
		return nil
	}
	f := fault.New(fault.NotFound, "there is no container of %s to adopt: none is called %s on %s",
		a.Service, strings.Join(a.Names, " or "), strings.Join(a.Nodes, " or "))
	if len(a.Left) > 0 {
		return f.WithHint("%s", strings.Join(a.Left, "; "))
	}
	return f.WithHint("see what runs there: mcp ps; and start the service: mcp deploy %s", a.Service)
}

// describeAdoption enters the components that run into the result.
func (d *deploy) describeAdoption() {
	d.result.Left = d.adoption.Left
	adopted := map[string]bool{}
	for _, a := range d.adoption.Adopted {
		adopted[a.Component] = true
	}
	for _, m := range d.adoption.Members {
		r := ComponentResult{Name: m.Component, Node: m.Node, Action: plan.Keep, Image: m.Image, Digest: m.Digest, Ports: map[string]int{}}
		if adopted[m.Component] {
			r.Action = plan.Take
		}
		for _, route := range m.Routes {
			r.Ports[route.Name] = route.HostPort
		}
		d.result.Components = append(d.result.Components, r)
	}
}

// holdPorts reserves the ports that the containers publish, so that no other service
// is given one. It fails if another service holds one.
func (d *deploy) holdPorts(ctx workflow.Context) error {
	for _, a := range d.adoption.Adopted {
		_, err := d.allocate(ctx, fleet.PortRequest{
			Service: a.Service, Component: a.Component, Deployment: d.number, Node: a.Node, Static: d.adoption.Ports[a.Component],
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Adoption finds what an adopt would take over. It changes nothing and takes no
// lock.
func Adoption(ctx workflow.Context, in DeployInput) (*adoption.Adoption, error) {
	d, err := newDeploy(ctx, in)
	if err != nil {
		return nil, call.Failure(err)
	}
	d.deadline = workflow.Now(ctx).Add(planTimeout)
	if d.release, err = call.Control(ctx, "load the release", call.ReadTimeout, control.LoadRelease, in.Definition.Name); err != nil {
		return nil, call.Failure(err)
	}
	if err := d.survey(ctx, call.NewGroup(ctx)); err != nil {
		return nil, call.Failure(err)
	}
	if err := d.match(ctx); err != nil {
		return nil, call.Failure(err)
	}
	if err := unadoptable(d.adoption); err != nil {
		return nil, call.Failure(err)
	}
	return &d.adoption, nil
}
