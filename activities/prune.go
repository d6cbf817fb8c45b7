package activities

import (
	"context"
	"errors"

	"github.com/metacircular/mcp/activities/attempt"
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

// PruneImages removes images one by one, after may has allowed each. One that fails
// does not stop the others.
func PruneImages(ctx context.Context, engine runtime.Runtime, images []string, may func(context.Context) error) (PruneImagesResult, error) {
	return attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (PruneImagesResult, error) {
		var result PruneImagesResult
		var problems []error
		for _, image := range images {
			if err := may(ctx); err != nil {
				return result, err
			}
			r.Set("prune", image)
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
