package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onbuilder"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
)

// wantedImages are the distinct images of a definition, in its order; only
// names the components that count, and all do if it is empty.
func wantedImages(definition servicedef.Service, only []string) []string {
	var images []string
	for _, c := range definition.Components {
		if !slices.Contains(images, c.Image) && (len(only) == 0 || slices.Contains(only, c.Name)) {
			images = append(images, c.Image)
		}
	}
	return images
}

// allImages are the distinct images of the components and the steps of a definition.
func allImages(definition servicedef.Service) []string {
	images := wantedImages(definition, nil)
	for _, image := range definition.StepImages(definition.Steps) {
		if !slices.Contains(images, image) {
			images = append(images, image)
		}
	}
	return images
}

// findImage asks the image registry for one image.
func findImage(ctx workflow.Context, image string, left time.Duration) workflow.Future {
	return workflow.ExecuteActivity(call.ControlStep(ctx, "look for "+image, left), control.ImageExists,
		oncontrol.ImageExistsInput{Image: image})
}

// requireBuild fails if an image that is missing cannot be built either.
func requireBuild(definition servicedef.Service, image, builder string) error {
	if _, ok := definition.ImageBuild(image); !ok {
		return fault.New(fault.NotFound, "image %s is not in the image registry, and %s names no Containerfile for it", image, fileOf(definition)).
			WithHint("add %s to [build.images] in %s, or push the image", servicedef.ImageName(image), fileOf(definition))
	}
	if builder == "" {
		return fault.New(fault.Invalid, "image %s is not in the image registry, and there is no builder to build it", image).
			WithHint("set [build] workspace or [build] builder in mcp.toml")
	}
	return nil
}

// fileOf names the definition as the operator does.
func fileOf(definition servicedef.Service) string {
	if definition.File != "" {
		return definition.File
	}
	return "the definition of " + definition.Name
}

// madeImage reports how far an image got.
type madeImage struct {
	Digest        string
	Built, Pushed bool
	LogFile       string
}

// makeImage builds an image, pushes it, and asks the image registry for the
// digest, which is not the local one. When the push fails for good the local tag
// is removed, so that the next deploy starts from the same place.
func makeImage(ctx workflow.Context, definition servicedef.Service, image, on string, noCache bool, deadline time.Time) (madeImage, error) {
	var made madeImage
	name := servicedef.ImageName(image)
	build, _ := definition.ImageBuild(image)
	sealed, err := buildSecrets(ctx, definition, image, build, call.Until(ctx, deadline))
	if err != nil {
		return made, err
	}
	var built onbuilder.BuildResult
	err = workflow.ExecuteActivity(call.BuildStep(ctx, on, name+": build", call.Until(ctx, deadline)), builder.Build, onbuilder.BuildInput{
		Service: definition.Name, Image: image, Path: definition.Path, Build: build, Source: definition.Source(image), NoCache: noCache,
		Versions: sealed.Versions, Envelopes: sealed.Envelopes,
	}).Get(ctx, &built)
	countBuild(ctx, err)
	if err != nil {
		return made, call.BuilderFault(call.TimeoutFault(err, "build "+image), on)
	}
	made.Built, made.LogFile = true, built.LogFile
	push := onbuilder.PushInput{Image: image}
	if len(build.Platforms) > 1 {
		push.Platforms = build.Platforms
	}
	if err := workflow.ExecuteActivity(call.BuildStep(ctx, on, name+": push", call.Until(ctx, deadline)), builder.Push, push).Get(ctx, nil); err != nil {
		cleanup, _ := workflow.NewDisconnectedContext(ctx)
		cleanup = call.ShortStep(cleanup, activities.QueueBuild(on), name+": remove the local tag", call.ShortCall)
		if untagErr := workflow.ExecuteActivity(cleanup, builder.Untag, push).Get(cleanup, nil); untagErr != nil {
			workflow.GetLogger(ctx).Warn("local tag is not removed", "image", image, "error", untagErr)
		}
		return made, call.BuilderFault(call.TimeoutFault(err, "push "+image), on)
	}
	made.Pushed = true
	var found oncontrol.ImageExistsResult
	if err := findImage(ctx, image, call.Until(ctx, deadline)).Get(ctx, &found); err != nil {
		return made, call.TimeoutFault(err, "look up image "+image)
	}
	if !found.Exists {
		return made, fault.New(fault.NotFound, "image %s was pushed, and the image registry does not have it", image)
	}
	made.Digest = found.Digest
	return made, nil
}

// buildSecrets reads the sealed values of the service's own secrets that a build uses,
// at their newest versions: what an image has from a secret is in the image, and a
// rollback builds none.
func buildSecrets(ctx workflow.Context, definition servicedef.Service, image string, build servicedef.ImageBuild, left time.Duration) (oncontrol.LoadBuildSecretsResult, error) {
	own := build.OwnSecrets()
	if len(own) == 0 {
		return oncontrol.LoadBuildSecretsResult{}, nil
	}
	in := oncontrol.LoadBuildSecretsInput{Service: definition.Name, Names: map[string][]string{}}
	for _, reference := range own {
		in.Names[reference] = definition.SecretCandidates(reference)
	}
	return call.Control(ctx, "load the sealed secrets of the build of "+image, left, control.LoadBuildSecrets, in)
}
