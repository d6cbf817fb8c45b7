package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// images builds and pushes what the image registry lacks, before any node is
// touched. Afterwards every image has a digest, and containers run by it.
func (d *deploy) images(ctx workflow.Context) error {
	if !d.in.Definition.Active || d.in.Turn != "" {
		return nil
	}
	g := newGroup(ctx)
	for _, image := range wantedImages(d.in.Definition, d.in.Only) {
		if d.digests[image] != "" {
			continue
		}
		d.log("Building images")
		g.do(func(ctx workflow.Context) error {
			made, err := makeImage(ctx, d.in.Definition, image, d.in.Builder, d.deadline)
			d.note(image, made)
			return err
		})
	}
	return g.wait(ctx)
}

// note records what became of an image, for the result.
func (d *deploy) note(image string, made madeImage) {
	d.digests[image] = made.Digest
	for i := range d.result.Components {
		c := &d.result.Components[i]
		if c.Image == image {
			c.Built, c.Pushed, c.Digest = made.Built, made.Pushed, made.Digest
		}
	}
}

// madeImage says how far an image got.
type madeImage struct {
	Digest        string
	Built, Pushed bool
	LogFile       string
}

// makeImage builds an image, pushes it, and asks the image registry for the
// digest, which the local one is not. When the push fails for good the tag is
// taken away again, so that the next deploy starts from the same place.
func makeImage(ctx workflow.Context, definition servicedef.Service, image, on string, deadline time.Time) (madeImage, error) {
	var made madeImage
	name := servicedef.ImageName(image)
	containerfile, _ := definition.Containerfile(image)
	var built activities.BuildResult
	err := workflow.ExecuteActivity(buildStep(ctx, on, name+": build", until(ctx, deadline)), builder.Build, activities.BuildInput{
		Service: definition.Name, Image: image, Path: definition.Path, Containerfile: containerfile,
	}).Get(ctx, &built)
	countBuild(ctx, err)
	if err != nil {
		return made, builderFault(unanswered(err, "build "+image), on)
	}
	made.Built, made.LogFile = true, built.LogFile
	push := activities.PushInput{Image: image}
	if err := workflow.ExecuteActivity(buildStep(ctx, on, name+": push", until(ctx, deadline)), builder.Push, push).Get(ctx, nil); err != nil {
		undo, _ := workflow.NewDisconnectedContext(ctx)
		undo = shortStep(undo, activities.QueueBuild(on), name+": remove the local tag", shortCall)
		if undoErr := workflow.ExecuteActivity(undo, builder.Untag, push).Get(undo, nil); undoErr != nil {
			workflow.GetLogger(ctx).Warn("local tag stays", "image", image, "error", undoErr)
		}
		return made, builderFault(unanswered(err, "push "+image), on)
	}
	made.Pushed = true
	var found activities.ImageExistsResult
	if err := imageExists(ctx, image, until(ctx, deadline)).Get(ctx, &found); err != nil {
		return made, unanswered(err, "look up image "+image)
	}
	if !found.Exists {
		return made, fault.New(fault.NotFound, "image %s was pushed, and the image registry does not have it", image)
	}
	made.Digest = found.Digest
	return made, nil
}

// builderFault says of a builder that is away what can be done.
func builderFault(err error, name string) error {
	if !isUntaken(err) || isCancelled(err) {
		return err
	}
	return fault.New(fault.Unavailable, "builder %s: no worker polls %s", name, activities.QueueBuild(name)).
		WithHint("start one where the sources are: mcp worker --builder %s --workspace DIR", name)
}
