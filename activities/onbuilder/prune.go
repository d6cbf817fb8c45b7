package onbuilder

import (
	"context"

	"github.com/metacircular/mcp/activities"
)

// PruneImages removes the named images from the builder, and no others.
func (a *Builder) PruneImages(ctx context.Context, in activities.PruneImagesInput) (activities.PruneImagesResult, error) {
	return activities.PruneImages(ctx, a.Runtime, in.Images, func(context.Context) error { return nil })
}
