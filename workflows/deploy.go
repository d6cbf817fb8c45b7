package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// Deploy runs a deployment: it brings a service to what the verb asks for, or puts
// back what was there.
func Deploy(ctx workflow.Context, in DeployInput) (*Result, error) {
	d, err := newDeploy(ctx, in)
	if err == nil {
		err = d.run(ctx)
	}
	return d.finish(ctx, err)
}

// run is the deploy, step by step. Until the commit an error means that the release
// still stands, and finish puts back the rest; from there on the deploy only goes
// forward.
func (d *deploy) run(ctx workflow.Context) error {
	surveys := call.NewGroup(ctx)
	if err := d.begin(ctx, surveys); err != nil {
		surveys.Cancel()
		_ = surveys.Wait(ctx) // the deploy ends for the first error
		return err
	}
	if err := d.survey(ctx, surveys); err != nil {
		return err
	}
	if d.verb.adopts {
		return d.adopt(ctx)
	}
	if err := d.requireImages(ctx); err != nil {
		return err
	}
	if err := d.decide(ctx); err != nil {
		return err
	}
	if d.plan.Unchanged() && !d.release.Dirty {
		return nil
	}
	d.recordPlan(ctx)
	if err := d.recover(ctx); err != nil {
		return err
	}
	d.publishRelease(ctx) // if that deploy has left something else at the edges
	if err := d.images(ctx); err != nil {
		return err
	}
	if err := d.askPorts(ctx); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	if err := d.stop(ctx); err != nil {
		return err
	}
	if err := d.reach(ctx); err != nil {
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
	if err := d.tryOut(ctx); err != nil {
		return err
	}
	if err := d.commit(forward); err != nil {
		return err
	}
	d.publish(forward)
	d.scheduleJobs(forward)
	d.recordRelease(forward)
	rest := d.prune(forward)
	d.publishLate(forward)
	rest.Go(d.recordEdges)
	d.retire(forward)
	d.pruneSecrets(forward)
	_ = rest.Wait(forward) // its functions return no error
	return nil
}

// begin opens the deployment and reads the release, while the image registry is
// asked. If the definition is made from the release, the release is read first.
func (d *deploy) begin(ctx workflow.Context, surveys *call.Group) error {
	d.log("Opening the deployment")
	if d.verb.reads || len(d.in.Only) > 0 {
		if err := d.complete(ctx); err != nil {
			return err
		}
	}
	d.findDigests(surveys)
	request := fleet.BeginRequest{
		Definition:     d.desired,
		DefinitionHash: d.desired.Hash(),
		Given:          d.given(),
		Verb:           string(d.verb.word),
		WorkflowID:     d.result.WorkflowID,
		RunID:          d.runID,
		Who:            d.in.Who,
		From:           d.in.From,
	}
	begun, err := call.Control(ctx, "open the deployment of "+d.desired.Name, d.left(ctx), control.BeginDeployment, request)
	if err != nil {
		return call.TimeoutFault(err, "open the deployment")
	}
	d.number, d.release, d.interim = begun.Number, begun.Release, begun.Interim
	d.result.Deployment = begun.Number
	d.chooseSecrets()
	return nil
}

// complete makes the definition from what was asked for and the release.
func (d *deploy) complete(ctx workflow.Context) error {
	release, err := call.Control(ctx, "load the release", d.left(ctx), control.LoadRelease, d.in.Definition.Name)
	if err != nil {
		return err
	}
	if err := d.define(release); err != nil || !d.verb.reads {
		return err
	}
	// The deploy is found by its nodes, which the client did not know.
	required, optional := d.nodesOf(release)
	if nodes := slices.Concat(required, optional); len(nodes) > 0 {
		return workflow.UpsertTypedSearchAttributes(ctx, SearchNode.ValueSet(nodes))
	}
	return nil
}
