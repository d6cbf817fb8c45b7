package onbuilder

import (
	"context"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/servicedef"
)

// Signer is what Builder needs to sign what it has pushed.
type Signer interface {
	// Sign signs an image, which is given by its digest. What is signed already stays as
	// it is.
	Sign(ctx context.Context, image string) error
}

// sign signs the image that a push has sent.
func (a *Builder) sign(ctx context.Context, r *attempt.Reporter, image, digest string) error {
	r.Set("sign", image)
	return a.Signer.Sign(ctx, servicedef.ByDigest(image, digest))
}
