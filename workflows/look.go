package workflows

import (
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// sparePorts are the free ports that a survey asks for beyond those needed, since
// some will be taken when their turn comes; morePorts those after some were. To
// look for one takes a node a tenth of a millisecond, and more when it is busy.
const (
	sparePorts = 4
	morePorts  = 64
)

// look asks the nodes, all at once and beside the image registry. The first answer
// that makes the deploy impossible ends it: an image that nobody can build
// need not wait for a node that is slow to fail, nor the other way round.
func (d *deploy) look(ctx workflow.Context, looks *group) error {
	d.log("Looking at the nodes and the image registry")
	d.askNodes(looks)
	if err := looks.wait(ctx); err != nil {
		return err
	}
	return d.catchUp(ctx)
}

// catchUp gives this deployment a number past those that the nodes have seen,
// where the registry has forgotten deployments: else every node would take it
// for an old one.
func (d *deploy) catchUp(ctx workflow.Context) error {
	if d.number == 0 || d.newest <= d.number {
		return nil
	}
	step := controlStep(ctx, "number the deployment anew", d.left(ctx))
	err := workflow.ExecuteActivity(step, control.Renumber, fleet.RenumberRequest{
		Service: d.in.Definition.Name, RunID: d.result.RunID, Floor: d.newest,
	}).Get(ctx, &d.number)
	d.result.Deployment = d.number
	return err
}

// askNodes surveys the nodes. One that the definition names must answer; one
// that only holds what is to go may be away.
func (d *deploy) askNodes(g *group) {
	required, optional := plan.NodesOf(d.in.Definition, d.release)
	for _, name := range required {
		d.survey(g, name, d.left(g.ctx), func(err error) error { return nodeFault(err, name) })
	}
	patience := 2 * nodeSilence
	if d.in.Undeploy { // those nodes are all that it is about
		patience = min(undoPatience, d.left(g.ctx))
	}
	for _, name := range optional {
		d.survey(g, name, patience, func(err error) error {
			if activities.FaultOf(err).Kind == fault.Unavailable {
				return nil
			}
			return nodeFault(err, name)
		})
	}
}

// survey asks one node; failed decides what a failure means.
func (d *deploy) survey(g *group, name string, left time.Duration, failed func(error) error) {
	d.nodes[name] = plan.Node{}
	step := surveyStep(g.ctx, name, "survey "+name, left)
	g.add(workflow.ExecuteActivity(step, node.Survey, d.surveyInput(name, sparePorts)), func(f workflow.Future) error {
		var found activities.SurveyResult
		if err := f.Get(g.ctx, &found); err != nil {
			return failed(unanswered(err, "survey "+name))
		}
		d.nodes[name] = plan.Node{Reachable: true, Containers: found.Containers, MissingSecrets: found.MissingSecrets}
		d.ports[name] = found.FreePorts
		d.newest = max(d.newest, found.Newest)
		return nil
	})
}

// surveyInput asks a node for what the deploy needs to know of it, with so many
// ports to spare where it will give any away.
func (d *deploy) surveyInput(name string, spare int) activities.SurveyInput {
	in := surveyInput(d.in.Definition, d.number, name, d.release.AdoptedOn(name))
	routes := 0
	for _, c := range d.in.Definition.Components {
		if c.Node == name {
			routes += len(c.Routes)
			in.Secrets = append(in.Secrets, c.SecretNames()...)
		}
	}
	if routes > 0 && d.number > 0 {
		in.Ports = 2*routes + spare
	}
	return in
}

// surveyInput asks a node for the containers of a service, and for those that bear
// a name which the definition needs.
func surveyInput(definition servicedef.Service, number int, name string, adopted []fleet.Adopted) activities.SurveyInput {
	in := activities.SurveyInput{Service: definition.Name, Deployment: number, Adopted: adopted}
	for _, c := range definition.Components {
		if c.Node == name {
			container := servicedef.ContainerNameFor(definition.Name, c.Name)
			in.Names = append(in.Names, container, container+fleet.NextSuffix, container+fleet.PrevSuffix)
		}
	}
	return in
}

// askImages asks for the digest of each distinct image that is to run.
func (d *deploy) askImages(g *group) {
	if !d.in.Definition.Active || d.in.Adopt || d.in.Turn != "" {
		return
	}
	for _, image := range wantedImages(d.in.Definition, d.in.Only) {
		g.do(func(ctx workflow.Context) error { return d.askImage(ctx, image) })
	}
}

// askImage asks for the digest of one image, which must be there or be buildable.
func (d *deploy) askImage(ctx workflow.Context, image string) error {
	asked := servicedef.ByDigest(image, d.in.Digests[image])
	var found activities.ImageExistsResult
	err := promptly(ctx, "look for "+asked, d.left(ctx), &found, "ImageExists", activities.ImageExistsInput{Image: asked})
	if err != nil {
		return unanswered(err, "look up image "+asked)
	}
	d.digests[image] = found.Digest
	switch {
	case found.Exists:
		return nil
	case d.in.Rollback != 0:
		return fault.New(fault.NotFound, "image %s of release %d is gone from the image registry", asked, d.in.Rollback).
			WithHint("choose another release: mcp history %s", d.in.Definition.Name)
	}
	return buildable(d.in.Definition, image, d.in.Builder)
}

// wantedImages are the distinct images of a definition, in its order.
func wantedImages(definition servicedef.Service, only []string) []string {
	var images []string
	seen := map[string]bool{}
	for _, c := range definition.Components {
		if !seen[c.Image] && selected(only, c.Name) {
			seen[c.Image] = true
			images = append(images, c.Image)
		}
	}
	return images
}

// buildable fails when an image that is missing cannot be built either.
func buildable(definition servicedef.Service, image, builder string) error {
	if _, ok := definition.Containerfile(image); !ok {
		return fault.New(fault.NotFound, "image %s is not in the image registry, and %s does not say how to build it", image, fileOf(definition)).
			WithHint("add %s to [build.images] in %s, or push the image", servicedef.ImageName(image), fileOf(definition))
	}
	if builder == "" {
		return fault.New(fault.Invalid, "image %s is not in the image registry, and there is no builder to build it", image).
			WithHint("set [build] workspace or [build] builder in mcp.toml")
	}
	return nil
}

// fileOf names the definition as the operator knows it.
func fileOf(definition servicedef.Service) string {
	if definition.File != "" {
		return definition.File
	}
	return "the definition of " + definition.Name
}

// selected reports whether name is among only; an empty only selects all.
func selected(only []string, name string) bool {
	for _, o := range only {
		if o == name {
			return true
		}
	}
	return len(only) == 0
}

// imageExists asks the image registry for one image.
func imageExists(ctx workflow.Context, image string, left time.Duration) workflow.Future {
	return workflow.ExecuteActivity(controlStep(ctx, "look for "+image, left), control.ImageExists,
		activities.ImageExistsInput{Image: image})
}

// isUntaken reports whether an activity ended because no worker took it.
func isUntaken(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) && timeout.TimeoutType() == enums.TIMEOUT_TYPE_SCHEDULE_TO_START
}
