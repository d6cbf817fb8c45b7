package workflows

import (
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/workflows/call"
)

// planTimeout is for a plan, which also asks image registries.
const planTimeout = 20 * time.Second

// Plan makes the plan of a deploy. It changes nothing and takes no lock.
func Plan(ctx workflow.Context, in DeployInput) (*PlanResult, error) {
	d, err := newDeploy(ctx, in)
	if err == nil {
		err = d.foresee(ctx)
	}
	if err != nil {
		return nil, call.Failure(err)
	}
	return d.planned, nil
}

// foresee makes the plan from what is now.
func (d *deploy) foresee(ctx workflow.Context) (err error) {
	d.deadline = workflow.Now(ctx).Add(planTimeout)
	if d.release, err = call.Control(ctx, "load the release", call.ReadTimeout, control.LoadRelease, d.in.Definition.Name); err != nil {
		return err
	}
	if err := d.define(d.release); err != nil {
		return err
	}
	d.chooseSecrets()
	surveys := call.NewGroup(ctx)
	d.findDigests(surveys)
	if err := d.survey(ctx, surveys); err != nil {
		return err
	}
	if err := d.requireImages(ctx); err != nil {
		return err
	}
	if err := d.passOverRetiring(ctx); err != nil {
		return err
	}
	if d.holders, err = d.endpointHolders(ctx); err != nil {
		return err
	}
	return d.decide(ctx)
}

// endpointHolders returns the holders of the endpoints that the definition names. A deploy
// claims them when it begins.
func (d *deploy) endpointHolders(ctx workflow.Context) ([]fleet.EndpointHolder, error) {
	endpoints := publication.Endpoints(d.desired)
	if len(endpoints) == 0 {
		return nil, nil
	}
	return call.Control(ctx, "ask who holds the hostnames", d.left(ctx), control.EndpointHolders, endpoints)
}

// passOverRetiring takes the containers that the release is about to remove out of the
// survey: a deploy begins when they are gone.
func (d *deploy) passOverRetiring(ctx workflow.Context) error {
	if !d.release.Retiring {
		return nil
	}
	held, err := call.Control(ctx, "is "+d.desired.Name+" being deployed?", call.ReadTimeout, control.Deploying, d.desired.Name)
	if err != nil || !held {
		return err
	}
	for _, name := range workflow.DeterministicKeys(d.nodes) {
		surveyed := d.nodes[name]
		surveyed.Containers = slices.DeleteFunc(surveyed.Containers, func(c fleet.Container) bool {
			return c.Service == d.desired.Name && strings.HasSuffix(c.Name, fleet.PrevSuffix)
		})
		d.nodes[name] = surveyed
	}
	return nil
}

// decide makes the plan.
func (d *deploy) decide(ctx workflow.Context) error {
	held, err := d.portHolders(ctx)
	if err != nil {
		return err
	}
	made, err := plan.Make(plan.Input{
		Desired: d.desired, Only: d.only, Given: d.given(), Force: d.in.Force || d.verb.replaces, Held: held,
		Holders: d.holders, Release: d.release, Nodes: d.nodes, Digests: d.digests, Pinned: d.verb.digests == fromRelease,
		Admitted: d.verb.restores,
		Now:      workflow.Now(ctx),
		Steps:    d.steps(),
	})
	if err != nil {
		return planFault(err)
	}
	d.plan = made
	d.planned = &PlanResult{Plan: made, Builds: []string{}, Release: d.release.Number, Dirty: d.release.Dirty}
	for _, image := range d.neededImages() {
		if d.digests[image] == "" && d.verb.digests == fromRegistry {
			d.planned.Builds = append(d.planned.Builds, image)
		}
	}
	if !made.Unchanged() || d.release.Dirty {
		if err := d.requireBuildSecrets(d.planned.Builds); err != nil {
			return err
		}
	}
	for _, step := range made.Steps {
		d.result.Components = append(d.result.Components, d.describe(step))
	}
	d.result.Jobs, d.result.URLs = made.Jobs, d.urls()
	return nil
}

// urls are those at which edges serve the service when it is deployed.
func (d *deploy) urls() (urls []string) {
	if len(d.release.Edges) == 0 || !d.desired.Active || d.verb.removes {
		return nil
	}
	for _, e := range d.plan.Edges {
		if e.Action != plan.Remove && e.Redirect == "" && e.URL != "" {
			urls = append(urls, e.URL)
		}
	}
	return urls
}

// describe is the result of a step before it is done.
func (d *deploy) describe(step plan.Step) ComponentResult {
	member := d.release.Components[step.Component]
	r := ComponentResult{
		Name: step.Component, Node: step.Node, Action: step.Action, Changes: step.Changes,
		Image: member.Image, Digest: member.Digest, Ports: map[string]int{},
	}
	for _, route := range member.Routes {
		r.Ports[route.Name] = route.HostPort
	}
	if c, wanted := d.desired.Component(step.Component); wanted {
		r.Image = c.Image
		if digest := d.digests[c.Image]; digest != "" {
			r.Digest = digest
		}
	}
	return r
}

// recordPlan writes the plan into the history, where clients that follow the deploy,
// or read it later, find it.
func (d *deploy) recordPlan(ctx workflow.Context) {
	options := workflow.SideEffectOptions{Summary: "plan the deploy"}
	_ = workflow.SideEffectWithOptions(ctx, options, func(workflow.Context) any { return d.planned })
}
