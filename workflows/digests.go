package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// findDigests asks the image registry for the digest of each image.
func (d *deploy) findDigests(g *group) {
	for _, image := range d.neededImages() {
		g.do(func(ctx workflow.Context) error { return d.findDigest(ctx, image) })
	}
}

// findDigest asks for the digest of one image, which must exist or be buildable.
func (d *deploy) findDigest(ctx workflow.Context, image string) error {
	asked := servicedef.ByDigest(image, d.in.Digests[image])
	found, err := findDigestOf(ctx, asked, d.left(ctx))
	if err != nil {
		return timeoutFault(err, "look up image "+asked)
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

// images builds and pushes what the image registry lacks, before any node is
// touched. Afterwards every image has a digest, and containers run by it.
func (d *deploy) images(ctx workflow.Context) error {
	g := newGroup(ctx)
	for _, image := range d.neededImages() {
		if d.digests[image] != "" {
			continue
		}
		d.log("Building images")
		g.do(func(ctx workflow.Context) error {
			made, err := makeImage(ctx, d.desired, image, d.in.Builder, d.deadline)
			d.recordImage(image, made)
			return err
		})
	}
	return g.wait(ctx)
}

// recordImage enters an image into the result.
func (d *deploy) recordImage(image string, made madeImage) {
	d.digests[image] = made.Digest
	for i := range d.result.Components {
		c := &d.result.Components[i]
		if c.Image == image {
			c.Built, c.Pushed, c.Digest = made.Built, made.Pushed, made.Digest
		}
	}
}
