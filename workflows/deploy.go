package workflows

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// Activities are called through typed nil pointers: only their names count.
var (
	control *activities.Control
	node    *activities.Node
	builder *activities.Builder
)

// Deploy brings a service to a definition, or puts back what was there.
func Deploy(ctx workflow.Context, in DeployInput) (*Result, error) {
	d := newDeploy(ctx, in)
	return d.finish(ctx, d.run(ctx))
}

// deploy is the state of one Deploy.
type deploy struct {
	in       DeployInput
	deadline time.Time
	started  time.Time
	log      func(phase string)

	number  int
	newest  int // the newest number that any node has seen
	release fleet.Release
	nodes   map[string]plan.Node
	ports   map[string][]int  // free ports by node
	digests map[string]string // by image reference; "" while it is missing
	plan    plan.Plan
	planned *PlanResult // the plan, as it is told; nil before it is made
	// adoption is what an adopt has found.
	adoption plan.Adoption

	undo    undo
	members map[string]fleet.Member // what ran anew, by component
	result  *Result
	// forward is set when the cut-over begins: a cancel comes too late then.
	forward bool
	// committed is set once the release is this deployment: it has succeeded.
	// The images that nothing needs any more are then stale.
	committed bool
	stale     fleet.CommitResult
	// restPorts is set where the outcome lets the ports rest that the release does
	// not use.
	restPorts bool
}

func newDeploy(ctx workflow.Context, in DeployInput) *deploy {
	if in.Deadline <= 0 {
		in.Deadline = DefaultDeadline
	}
	info := workflow.GetInfo(ctx)
	return &deploy{
		in:       in,
		started:  workflow.Now(ctx),
		deadline: workflow.Now(ctx).Add(in.Deadline),
		log:      func(phase string) { workflow.SetCurrentDetails(ctx, phase) },
		nodes:    map[string]plan.Node{},
		ports:    map[string][]int{},
		digests:  map[string]string{},
		members:  map[string]fleet.Member{},
		result: &Result{
			Service:    in.Definition.Name,
			WorkflowID: info.WorkflowExecution.ID,
			RunID:      info.WorkflowExecution.RunID,
			Components: []ComponentResult{},
		},
	}
}

// run is the deploy, step by step. Until cutOver an error means that the
// release still stands and undo puts the rest back; from there on the deploy
// only goes forward.
func (d *deploy) run(ctx workflow.Context) error {
	looks := newGroup(ctx)
	if err := d.begin(ctx, looks); err != nil {
		looks.cancel()
		_ = looks.wait(ctx) // that it could not begin says it all
		return err
	}
	if err := d.look(ctx, looks); err != nil {
		return err
	}
	if d.in.Adopt {
		return d.adopt(ctx)
	}
	if err := d.decide(); err != nil {
		return err
	}
	if d.plan.Unchanged() && !d.release.Dirty {
		return nil
	}
	d.recordPlan(ctx)
	if err := d.recover(ctx); err != nil {
		return err
	}
	if err := d.images(ctx); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	if err := d.stop(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // cancelled between two steps: the last moment for it
	}
	d.forward = true
	forward, _ := workflow.NewDisconnectedContext(ctx)
	if err := d.cutOver(forward); err != nil {
		return err
	}
	if err := d.commit(forward); err != nil {
		return err
	}
	pruning := d.prune(forward)
	d.retire(forward)
	_ = pruning.wait(forward) // its handlers return no error
	return nil
}

// left is the time until the deadline; never less than a second, so that a
// step at the very end is tried once.
func (d *deploy) left(ctx workflow.Context) time.Duration { return until(ctx, d.deadline) }

// until is the time until a deadline; never less than a second.
func until(ctx workflow.Context, deadline time.Time) time.Duration {
	return max(time.Second, deadline.Sub(workflow.Now(ctx)))
}

// begin opens the deployment and learns what the release is, while the image
// registry is asked. A deploy of some components takes the others as the release has
// them, an undeploy takes all but them, and a stop, a start and a restart take
// nothing but the release.
func (d *deploy) begin(ctx workflow.Context, looks *group) error {
	d.log("Opening the deployment")
	given := d.in.given()
	if len(d.in.Only) > 0 || d.in.Undeploy || d.in.Turn != "" {
		if err := d.complete(ctx); err != nil {
			return err
		}
	}
	d.askImages(looks)
	request := fleet.BeginRequest{
		Definition:     d.in.Definition,
		DefinitionHash: d.in.Definition.Hash(),
		Given:          given,
		Verb:           d.in.Verb(),
		WorkflowID:     d.result.WorkflowID,
		RunID:          d.result.RunID,
		Who:            d.in.Who,
		From:           d.in.From,
	}
	var begun fleet.BeginResult
	if err := promptly(ctx, "open the deployment of "+request.Definition.Name, d.left(ctx), &begun, "BeginDeployment", request); err != nil {
		return unanswered(err, "open the deployment")
	}
	d.number, d.release = begun.Number, begun.Release
	d.result.Deployment = begun.Number
	return nil
}

// complete makes the whole definition of a deploy that was asked for in part:
// the rest is the release's.
func (d *deploy) complete(ctx workflow.Context) error {
	var release fleet.Release
	if err := promptly(ctx, "load the release", d.left(ctx), &release, "LoadRelease", d.in.Definition.Name); err != nil {
		return err
	}
	switch {
	case d.in.Undeploy:
		return d.withdraw(ctx, release)
	case d.in.Turn != "":
		return d.turn(ctx, release)
	}
	d.in.Definition = plan.Merge(release.Definition, d.in.Definition, d.in.Only)
	return nil
}

// decide makes the plan.
func (d *deploy) decide() error {
	made, err := plan.Make(plan.Input{
		Desired: d.in.Definition, Only: d.in.Only, Force: d.in.Force || d.in.Turn == VerbRestart,
		Release: d.release, Nodes: d.nodes, Digests: d.digests, Pinned: d.in.Turn != "",
	})
	if err != nil {
		return planFault(err)
	}
	d.plan = made
	d.planned = &PlanResult{Plan: made, Builds: []string{}, Release: d.release.Number}
	if d.in.Definition.Active {
		for _, image := range wantedImages(d.in.Definition, d.in.Only) {
			if d.digests[image] == "" {
				d.planned.Builds = append(d.planned.Builds, image)
			}
		}
	}
	for _, step := range made.Steps {
		d.result.Components = append(d.result.Components, d.describe(step))
	}
	return nil
}

// recordPlan writes the plan into the history, where whoever follows the deploy
// finds it at its place, and so does whoever reads of it later.
func (d *deploy) recordPlan(ctx workflow.Context) {
	about := workflow.SideEffectOptions{Summary: "plan the deploy"}
	_ = workflow.SideEffectWithOptions(ctx, about, func(workflow.Context) any { return d.planned })
}

// describe is what the result says of a step, before it is done.
func (d *deploy) describe(step plan.Step) ComponentResult {
	member := d.release.Components[step.Component]
	r := ComponentResult{
		Name: step.Component, Node: step.Node, Action: step.Action, Changes: step.Changes,
		Image: member.Image, Digest: member.Digest, Ports: map[string]int{},
	}
	for _, route := range member.Routes {
		r.Ports[route.Name] = route.HostPort
	}
	if c, wanted := d.in.Definition.Component(step.Component); wanted {
		r.Image = c.Image
		if digest := d.digests[c.Image]; digest != "" {
			r.Digest = digest
		}
	}
	return r
}

// recover takes away what a deploy that never ended left behind.
func (d *deploy) recover(ctx workflow.Context) error {
	if len(d.plan.Recovery) == 0 {
		return nil
	}
	d.log("Putting back the release after a deploy that did not end")
	g := newGroup(ctx)
	for _, recovery := range d.plan.Recovery {
		step := nodeStep(g.ctx, recovery.Node, "put back the release on "+recovery.Node, d.left(ctx))
		g.add(workflow.ExecuteActivity(step, node.Restore, activities.RestoreInput{
			Service: d.in.Definition.Name, Deployment: d.number, Timeout: d.stopTimeout(),
			Adopted: d.release.AdoptedOn(recovery.Node), Recovery: recovery,
		}), func(f workflow.Future) error { return nodeFault(f.Get(ctx, nil), recovery.Node) })
	}
	return g.wait(ctx)
}

// component is the definition of a step's component.
func (d *deploy) component(step plan.Step) servicedef.Component {
	c, _ := d.in.Definition.Component(step.Component)
	return c
}

// reachable reports whether the node answered the survey.
func (d *deploy) reachable(name string) bool { return d.nodes[name].Reachable }

// outcome of the component with that name, to be filled in.
func (d *deploy) outcome(component string) *ComponentResult {
	i := slices.IndexFunc(d.result.Components, func(c ComponentResult) bool { return c.Name == component })
	return &d.result.Components[i]
}

// planFault says what to do about a plan that cannot be made.
func planFault(err error) error {
	f := fault.Wrap(fault.Invalid, err, "plan the deploy")
	var foreign *plan.ForeignContainerError
	if errors.As(err, &foreign) {
		f = fault.New(fault.Conflict, "%s", foreign.Error()).
			WithHint("remove or rename it on %s, or give the component another name", foreign.Node)
		f.Node = foreign.Node
	}
	var draining *plan.DrainingNodeError
	if errors.As(err, &draining) {
		f = fault.New(fault.Conflict, "%s", draining.Error()).
			WithHint("let it have new containers again: mcp node activate %s; or give the component another node", draining.Node)
		f.Component, f.Node = draining.Component, draining.Node
	}
	var missing *plan.MissingSecretError
	if errors.As(err, &missing) {
		f = fault.New(fault.Invalid, "%s", missing.Error()).
			WithHint("make it on %s: podman secret create %s FILE", missing.Node, missing.Secret)
		f.Component, f.Node = missing.Component, missing.Node
	}
	return f
}

// nodeFault says of a node that did not answer what can be done.
func nodeFault(err error, name string) error {
	if err == nil || isCancelled(err) {
		return err
	}
	f := activities.FaultOf(err)
	if isUntaken(err) {
		f = fault.New(fault.Unavailable, "node %s: no worker polls %s", name, activities.QueueNode(name)).
			WithHint("start one on that host: mcp worker --node %s", name)
	}
	if f.Node == "" {
		f.Node = name
	}
	return f
}

// waitedFor adds to a fault for how long the deploy waited. The last try is
// the one after which another would have come too late.
func (d *deploy) waitedFor(ctx workflow.Context, f *fault.Error) *fault.Error {
	lastTry := d.deadline.Add(-waiting.MaximumInterval)
	if f.Kind != fault.Unavailable || workflow.Now(ctx).Before(lastTry) {
		return f
	}
	late := *f
	late.Message = fmt.Sprintf("gave up after %s: %s", d.in.Deadline, f.Message)
	return &late
}
