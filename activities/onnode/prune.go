package onnode

import (
	"context"

	"github.com/metacircular/mcp/activities"
)

// PruneImages removes the named images from the node, and no others. It stops when a
// newer deployment has begun, because that may bring an old release back.
func (a *Node) PruneImages(ctx context.Context, in activities.PruneImagesInput) (activities.PruneImagesResult, error) {
	result, err := activities.PruneImages(ctx, a.Runtime, in.Images, func(ctx context.Context) error {
		pruning := identity{in.Deployment, in.Run}
		if err := a.Fence.pass(in.Service, pruning); err != nil {
			return err
		}
		return a.readLabels(ctx, in.Service, pruning)
	})
	if err != nil {
		err = a.placed(err, "")
	}
	return result, err
}
