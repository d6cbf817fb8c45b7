package workflows

import (
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/routes"
)

// publishInterim makes the edges serve the service without the containers that are about
// to stop, and waits until these have no request, for no longer than they drain. Held
// keeps new requests waiting, because successors follow. An edge that is away is passed
// over: its clients notice.
func (d *deploy) publishInterim(ctx workflow.Context, request fleet.PublishRequest) error {
	request.Service, request.Deployment, request.Run = d.desired.Name, d.number, d.runID
	d.interim = true
	made, err := call.Control(ctx, "take what stops off the edges", d.left(ctx), control.MakePublication, request)
	if err != nil {
		return err
	}
	became := routes.Publish(ctx, made.Edges, []fleet.Publication{made.Publication})
	for _, b := range became {
		if b.Error != nil {
			d.away = append(d.away, b.Edge)
		}
	}
	routes.Drain(ctx, acknowledging(became), made.Former, plan.DrainOf(d.release, slices.Concat(request.Held, request.Stopped)))
	return ctx.Err()
}

// acknowledging are the edges that have what was published.
func acknowledging(became []routes.EdgePublished) []string {
	var names []string
	for _, b := range became {
		if b.Error == nil {
			names = append(names, b.Edge)
		}
	}
	return names
}

// served are those of the components to whose containers edges send requests.
func (d *deploy) served(components []string) []string {
	if len(d.release.Edges) == 0 || len(components) == 0 {
		return nil
	}
	var served []string
	now := publication.Routes(publication.Released(d.release))
	for _, name := range components {
		reaches := func(r fleet.EdgeRoute) bool { return len(r.Upstreams) > 0 && slices.Contains(r.Components, name) }
		if slices.ContainsFunc(now, reaches) {
			served = append(served, name)
		}
	}
	return served
}

// hold keeps requests waiting at the edges for the components that stop before their
// successors start. The images of these are pulled before.
func (d *deploy) hold(ctx workflow.Context, wave []plan.Step) error {
	var stopping []string
	for _, step := range wave {
		for _, s := range step.StopsFirst {
			if s.Active && !slices.Contains(d.held, s.Component) && !slices.Contains(stopping, s.Component) {
				stopping = append(stopping, s.Component)
			}
		}
	}
	stopping = d.served(stopping)
	if len(stopping) == 0 {
		return d.fetch(ctx, d.lacking(wave))
	}
	if err := d.fetch(ctx, wave); err != nil {
		return err
	}
	d.log("Holding requests at the edges")
	d.held = append(d.held, stopping...)
	return d.publishInterim(ctx, fleet.PublishRequest{Held: d.held})
}

// lacking are the steps of a wave that stop a container which runs, and whose image their
// node may not have: without it the container would be missing while it is pulled.
func (d *deploy) lacking(wave []plan.Step) []plan.Step {
	var steps []plan.Step
	for _, step := range wave {
		if slices.ContainsFunc(step.StopsFirst, func(s plan.Stopped) bool { return s.Active }) && !d.hasImage(step) {
			steps = append(steps, step)
		}
	}
	return steps
}

// hasImage reports whether a step's node is known to have its image: it has reported
// that, or runs it.
func (d *deploy) hasImage(step plan.Step) bool {
	c := d.component(step)
	digest := d.digest(c)
	if slices.Contains(d.present[step.Node], servicedef.ByDigest(c.Image, digest)) {
		return true
	}
	for _, m := range d.release.Members() {
		if m.Node == step.Node && m.Digest == digest {
			return true
		}
	}
	return false
}

// fetch pulls the images of steps.
func (d *deploy) fetch(ctx workflow.Context, wave []plan.Step) error {
	if len(wave) == 0 {
		return nil
	}
	g := call.NewGroup(ctx)
	for _, step := range wave {
		pull := call.NodeStep(g.Context(), step.Node, step.Component+": fetch the image to "+step.Node, d.left(ctx))
		in := onnode.RunContainerInput{Component: d.spec(step)}
		g.Add(workflow.ExecuteActivity(pull, node.FetchImage, in), func(f workflow.Future) error {
			return call.NodeFault(call.TimeoutFault(f.Get(ctx, nil), "fetch the image of "+step.Component), step.Node)
		})
	}
	return g.Wait(ctx)
}

// withdraw takes the containers that the deploy stops off the edges.
func (d *deploy) withdraw(ctx workflow.Context) error {
	var stopping []string
	for _, step := range d.plan.Steps {
		if step.Action == plan.Stop {
			stopping = append(stopping, step.Component)
		}
	}
	stopping = d.served(stopping)
	if len(stopping) == 0 {
		return nil
	}
	d.log("Taking the containers off the edges")
	return d.publishInterim(ctx, fleet.PublishRequest{Stopped: stopping})
}

// publish makes the edges serve the release that was committed, and waits for each that
// answers.
func (d *deploy) publish(ctx workflow.Context) {
	p := d.stale.Publishing
	if p == nil {
		return
	}
	d.interim = false
	if len(p.Edges) > 0 {
		d.log("Publishing to the edges")
	}
	d.result.Edges = routes.Publish(ctx, p.Edges, []fleet.Publication{p.Publication})
	d.released = workflow.Now(ctx)
}

// publishLate publishes once more to the edges that were away, before the predecessors to
// which they may send requests are retired. An edge that runs can be away for longer than
// publish waits, after Temporal was.
func (d *deploy) publishLate(ctx workflow.Context) {
	p := d.stale.Publishing
	if p == nil || len(p.Former) == 0 || d.verb.removes {
		return
	}
	var away []string
	for _, b := range d.result.Edges {
		if b.Error != nil {
			away = append(away, b.Edge)
		}
	}
	if len(away) == 0 {
		return
	}
	d.log("Waiting for " + strings.Join(away, ", "))
	late := routes.PublishPatiently(ctx, away, []fleet.Publication{p.Publication})
	for i, b := range d.result.Edges {
		if j := slices.IndexFunc(late, func(l routes.EdgePublished) bool { return l.Edge == b.Edge }); j >= 0 {
			d.result.Edges[i] = late[j]
		}
	}
}

// publishRelease makes the edges serve what the registry has of the release again, after
// they have served something else. If it fails, the monitor repeats it.
func (d *deploy) publishRelease(ctx workflow.Context) {
	if !d.interim {
		return
	}
	d.interim = false
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	request := fleet.PublishRequest{Service: d.desired.Name, Deployment: d.number, Run: d.runID}
	if err := routes.Republish(ctx, request, 0); err != nil {
		workflow.GetLogger(ctx).Error("the release is not published again", "error", err)
	}
}

// recordEdges records what the edges have of the release.
func (d *deploy) recordEdges(ctx workflow.Context) error {
	p := d.stale.Publishing
	if p == nil {
		return nil
	}
	if err := routes.RecordPublished(ctx, d.result.Edges, []fleet.Publication{p.Publication}); err != nil {
		workflow.GetLogger(ctx).Warn("what the edges have is not recorded", "error", err)
	}
	return nil
}

// drain waits until the predecessors have served their clients. One that has a successor
// serves for the whole of its drain. One that is removed has clients only at the edges,
// and these have been served when all edges say so.
func (d *deploy) drain(ctx workflow.Context) {
	begun := workflow.Now(ctx)
	var former, edges []string
	var atEdges time.Duration
	if p := d.stale.Publishing; p != nil && len(p.Edges) > 0 {
		former, edges = p.Former, acknowledging(d.result.Edges)
		if len(edges) < len(p.Edges) {
			edges = nil // the others send requests to the predecessors still
		}
		atEdges = d.plan.EdgeDrain()
	}
	drained, served := false, func(ctx workflow.Context) error { return sleep(ctx, d.plan.Drain()) }
	var err error
	if len(edges) > 0 {
		g := call.NewGroup(ctx)
		g.Go(func(ctx workflow.Context) error {
			drained = routes.Drain(ctx, edges, former, atEdges)
			return nil
		})
		g.Go(served)
		err = g.Wait(ctx)
	} else {
		err = served(ctx)
	}
	if !drained && err == nil {
		err = sleep(ctx, atEdges-workflow.Now(ctx).Sub(begun))
	}
	if err != nil {
		workflow.GetLogger(ctx).Warn("predecessors are not drained", "error", err)
	}
}

// sleep is workflow.Sleep, at no cost if there is nothing to wait for.
func sleep(ctx workflow.Context, time time.Duration) error {
	if time <= 0 {
		return nil
	}
	return workflow.Sleep(ctx, time)
}
