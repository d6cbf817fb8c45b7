package oncontrol

import (
	"context"

	"github.com/metacircular/mcp/internal/fault"
)

// ImageExistsInput names an image.
type ImageExistsInput struct {
	Image string `json:"image"`
}

// ImageExistsResult is the answer of the image registry.
type ImageExistsResult struct {
	Exists bool `json:"exists"`
	// Digest is the manifest's, "sha256:…"; "" if there is none.
	Digest string `json:"digest,omitempty"`
}

// ImageExists asks the image registry for a tag. A missing tag is an answer;
// a refused or failed request is an error.
func (a *Control) ImageExists(ctx context.Context, in ImageExistsInput) (ImageExistsResult, error) {
	digest, err := a.Images.Digest(ctx, in.Image)
	if fault.Is(err, fault.NotFound) {
		return ImageExistsResult{}, nil
	}
	return ImageExistsResult{Exists: err == nil, Digest: digest}, err
}
