package activities

import (
	"context"
	"errors"

	"github.com/metacircular/mcp/internal/runtime"
)

// PruneImagesInput names images that no release needs any more: by digest on
// a node, by tag on a builder.
type PruneImagesInput struct {
	Service    string   `json:"service"`
	Deployment int      `json:"deployment"`
	Run        string   `json:"run,omitempty"`
	Images     []string `json:"images"`
}

// PruneImagesResult names the removed ones: those that were there and that no
// container used.
type PruneImagesResult struct {
	Pruned []string `json:"pruned,omitempty"`
}

// PruneImages removes the named images from the node, and no others. It stops when a
// newer deployment has begun, because that may bring an old release back.
func (a *Node) PruneImages(ctx context.Context, in PruneImagesInput) (PruneImagesResult, error) {
	result, err := pruneImages(ctx, a.Runtime, in.Images, func(ctx context.Context) error {
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

// PruneImages removes the named images from the builder, and no others.
func (a *Builder) PruneImages(ctx context.Context, in PruneImagesInput) (PruneImagesResult, error) {
	return pruneImages(ctx, a.Runtime, in.Images, func(context.Context) error { return nil })
}

// pruneImages removes images one by one, after may has allowed each. One that fails
// does not keep the others.
func pruneImages(ctx context.Context, engine runtime.Runtime, images []string, may func(context.Context) error) (PruneImagesResult, error) {
	return reporting(ctx, func(ctx context.Context, r *reporter) (PruneImagesResult, error) {
		var result PruneImagesResult
		var problems []error
		for _, image := range images {
			if err := may(ctx); err != nil {
				return result, err
			}
			r.set("prune", image)
			pruned, err := engine.PruneImage(ctx, image)
			if err != nil {
				problems = append(problems, err)
			}
			if pruned {
				result.Pruned = append(result.Pruned, image)
			}
		}
		return result, errors.Join(problems...)
	})
}
