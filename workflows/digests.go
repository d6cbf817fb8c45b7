package workflows

import (
	"cmp"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
)

// findDigests asks the image registry for the digest of each image that is not given by
// its digest already.
func (d *deploy) findDigests(g *call.Group) {
	for _, image := range d.neededImages() {
		if digest := d.knownDigest(image); digest != "" {
			d.digests[image] = digest
			continue
		}
		g.Go(func(ctx workflow.Context) error { return d.findDigest(ctx, image) })
	}
}

// neededImages are the distinct images whose digests the deploy has to find.
func (d *deploy) neededImages() []string {
	if !d.desired.Active || d.verb.digests == fromRelease || d.verb.digests == fromNowhere {
		return nil
	}
	images := wantedImages(d.desired, d.only)
	for _, image := range d.desired.StepImages(d.steps()) {
		if !slices.Contains(images, image) {
			images = append(images, image)
		}
	}
	return images
}

// knownDigest is the digest by which an image is given, in the input or by its name; ""
// if it is given by its tag.
func (d *deploy) knownDigest(image string) string {
	return cmp.Or(d.in.Digests[image], servicedef.DigestOf(image))
}

// requireImages asks the image registry for the images that are given by their digests,
// if a node that is to run one does not have it. What the nodes have needs no image
// registry.
func (d *deploy) requireImages(ctx workflow.Context) error {
	g := call.NewGroup(ctx)
	for _, image := range d.neededImages() {
		if digest := d.knownDigest(image); digest != "" && !d.everywhere(image, servicedef.ByDigest(image, digest)) {
			g.Go(func(ctx workflow.Context) error { return d.findDigest(ctx, image) })
		}
	}
	return g.Wait(ctx)
}

// everywhere reports whether each node that is to run an image has it, by its digest.
func (d *deploy) everywhere(image, byDigest string) bool {
	return !slices.ContainsFunc(d.nodesNeeding(image), func(name string) bool {
		return !slices.Contains(d.present[name], byDigest)
	})
}

// nodesNeeding are the nodes on which a component or a step of the deploy runs an image.
func (d *deploy) nodesNeeding(image string) (names []string) {
	for _, c := range d.desired.Components {
		if c.Image == image && (len(d.only) == 0 || slices.Contains(d.only, c.Name)) {
			names = append(names, c.Node)
		}
	}
	for _, step := range d.steps() {
		if c := d.desired.StepComponent(step); c.Image == image {
			names = append(names, c.Node)
		}
	}
	return names
}

// imagesOn are the images given by their digests that a node is to run.
func (d *deploy) imagesOn(name string) []string {
	var list []string
	for _, image := range d.neededImages() {
		if digest := d.knownDigest(image); digest != "" && slices.Contains(d.nodesNeeding(image), name) {
			list = append(list, servicedef.ByDigest(image, digest))
		}
	}
	return list
}

// stepImages are the digests of the images that only steps of the definition run,
// including steps that this deployment leaves out: a rollback to it runs them again.
func (d *deploy) stepImages() map[string]string {
	known := d.release.StepImages
	if d.verb.digests == fromInput {
		known = d.in.Digests
	}
	others := wantedImages(d.desired, nil)
	var digests map[string]string
	for _, image := range d.desired.StepImages(d.desired.Steps) {
		digest := cmp.Or(d.digests[image], servicedef.DigestOf(image), known[image])
		if digest == "" || slices.Contains(others, image) {
			continue
		}
		if digests == nil {
			digests = map[string]string{}
		}
		digests[image] = digest
	}
	return digests
}

// findDigest asks for the digest of one image, which must exist or be buildable.
func (d *deploy) findDigest(ctx workflow.Context, image string) error {
	asked := servicedef.ByDigest(image, d.in.Digests[image])
	found, err := findDigestOf(ctx, asked, d.left(ctx))
	if err != nil {
		return call.TimeoutFault(err, "look up image "+asked)
	}
	d.digests[image] = found.Digest
	switch {
	case found.Exists:
		return nil
	case d.verb.digests == fromInput:
		return fault.New(fault.NotFound, "image %s of release %d is gone from the image registry", asked, d.in.Release).
			WithHint("choose another release: mcp history %s", d.desired.Name)
	}
	return requireBuild(d.desired, image, d.in.Builder)
}

// imageTimeout is how long an image registry is asked by a local activity.
const imageTimeout = 100 * time.Millisecond

// findDigestOf is call.Control for ImageExists. The commands of a task are held back until
// its local activities have ended, and the surveys of the nodes are among them: an image
// registry that is slower than imageTimeout is asked by an ordinary activity, at the same
// time.
func findDigestOf(ctx workflow.Context, image string, left time.Duration) (oncontrol.ImageExistsResult, error) {
	var found oncontrol.ImageExistsResult
	err := call.ControlWithin(ctx, "look for "+image, imageTimeout, left, &found, control.ImageExists, oncontrol.ImageExistsInput{Image: image})
	return found, err
}

// images builds and pushes what the image registry lacks, before any node is
// touched. Afterwards every image has a digest, and containers run by it.
func (d *deploy) images(ctx workflow.Context) error {
	g := call.NewGroup(ctx)
	for _, image := range d.neededImages() {
		if d.digests[image] != "" {
			continue
		}
		d.log("Building images")
		g.Go(func(ctx workflow.Context) error {
			made, err := makeImage(ctx, d.desired, image, d.in.Builder, d.in.NoCache, d.deadline)
			d.recordImage(image, made)
			return err
		})
	}
	return g.Wait(ctx)
}

// recordImage enters an image into the result.
func (d *deploy) recordImage(image string, made madeImage) {
	d.digests[image] = made.Digest
	d.built = d.built || made.Built
	for i := range d.result.Components {
		c := &d.result.Components[i]
		if c.Image == image {
			c.Built, c.Pushed, c.Digest = made.Built, made.Pushed, made.Digest
		}
	}
}
