package onnode

import (
	"context"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
)

// Signatures is what Node needs to know of the signatures of images.
type Signatures interface {
	// Check fails where the image's registry requires a signature, and the image, which
	// is given by its digest, has none by a key that counts. Present is set where the
	// image is here: one that was checked before needs no image registry then.
	Check(ctx context.Context, image string, present bool) error
}

// checkSignature refuses an image that has no signature although one is required. A
// reconcile puts back what ran: it is refused nothing that is still here.
func (a *Node) checkSignature(ctx context.Context, r *attempt.Reporter, c activities.ComponentSpec, present bool) error {
	if a.Signatures == nil || c.Again && present {
		return nil
	}
	r.Set("check the signature", c.Definition.Image)
	return a.Signatures.Check(ctx, c.Image, present)
}
