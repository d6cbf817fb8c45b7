package workers

import (
	"context"

	"github.com/metacircular/mcp/internal/imageregistry"
)

// LookUp asks an image registry for an image from this host, as a control
// worker does with the same credentials. One that is not there is NotFound.
func LookUp(ctx context.Context, image string, insecure []string, authFile string) error {
	_, err := imageregistry.New(imageregistry.Options{Insecure: insecure, AuthFile: authFile}).Digest(ctx, image)
	return err
}
