package onbuilder

import (
	"context"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/runtime"
)

// PushInput names a local image.
type PushInput struct {
	Image string `json:"image"`
	// Platforms are those that it was built for, if they are several.
	Platforms []string `json:"platforms,omitempty"`
}

// Push copies the image to its image registry and, if the builder has a key, signs it
// there.
func (a *Builder) Push(ctx context.Context, in PushInput) error {
	_, err := attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (struct{}, error) {
		r.Set("push", in.Image)
		push := runtime.PushSpec{
			Image:     in.Image,
			Insecure:  a.Insecure(in.Image),
			Progress:  func(line string) { r.Set("push", line) },
			Platforms: in.Platforms,
		}
		// The image registry is not asked for the digest: whoever can write there could
		// have another image signed.
		var digest string
		if a.Signer != nil {
			push.Sent = func(sent string) { digest = sent }
		}
		err := attempt.Transfer(ctx, "push", in.Image, "the host of builder "+a.Name, func(ctx context.Context) error {
			return a.Runtime.Push(ctx, push)
		})
		if err == nil && a.Signer != nil {
			err = a.sign(ctx, r, in.Image, digest)
		}
		return struct{}{}, err
	})
	return err
}

// Untag removes the local tag of an image that could not be pushed.
func (a *Builder) Untag(ctx context.Context, in PushInput) error {
	return a.Runtime.RemoveImage(ctx, in.Image)
}
