package workers

import (
	"context"

	"github.com/metacircular/mcp/internal/imageregistry"
)

// LookUp looks up an image in its image registry from this host, as a control
// worker does with the same credentials. The error for a missing image is
// NotFound.
func LookUp(ctx context.Context, image string, insecure []string, authFile string) error {
	_, err := imageregistry.New(imageregistry.Options{Insecure: insecure, AuthFile: authFile}).Digest(ctx, image)
	return err
}
