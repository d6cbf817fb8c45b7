package activities

import (
	"context"

	"github.com/metacircular/mcp/servicedef"
)

// Signatures is what Node needs to know of the signatures of images.
type Signatures interface {
	// Check fails where the image's registry requires a signature, and the image, which
	// is given by its digest, has none by a key that counts. Present is set where the
	// image is here: one that was checked before needs no image registry then.
	Check(ctx context.Context, image string, present bool) error
}

// Signer is what Builder needs to sign what it has pushed.
type Signer interface {
	// Sign signs an image, which is given by its digest. What is signed already stays as
	// it is.
	Sign(ctx context.Context, image string) error
}

// checkSignature refuses an image that has no signature although one is required. A
// reconcile puts back what ran: it is refused nothing that is still here.
func (a *Node) checkSignature(ctx context.Context, r *reporter, c ComponentSpec, present bool) error {
	if a.Signatures == nil || c.Again && present {
		return nil
	}
	r.set("check the signature", c.Definition.Image)
	return a.Signatures.Check(ctx, c.Image, present)
}

// sign signs the image that a push has sent.
func (a *Builder) sign(ctx context.Context, r *reporter, image, digest string) error {
	r.set("sign", image)
	return a.Signer.Sign(ctx, servicedef.ByDigest(image, digest))
}
