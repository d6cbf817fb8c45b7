package podman

import (
	"context"
	"slices"
	"strings"

	"github.com/containers/podman/v5/pkg/bindings/images"
	"github.com/containers/podman/v5/pkg/domain/entities/types"
	"github.com/distribution/reference"

	"github.com/metacircular/mcp/internal/fault"
)

// PruneImage takes one name from an image that no container uses, and frees the
// image with its last name. It looks for the name first, because podman takes
// a digest that is no name of an image for any tag that it has. Nor does it
// let podman remove the image's parents: one that has lost its tag, as a base
// image does when a newer one is pulled, may be somebody's.
func (e *Engine) PruneImage(ctx context.Context, image string) (bool, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return false, fault.Wrap(fault.Invalid, err, "prune image %s", image)
	}
	// One at a time, so that a name that was found is still there when it is
	// removed. Podman itself, where two remove two names of one image at the
	// same time, leaves the image without a name.
	e.pruning.Lock()
	defer e.pruning.Unlock()
	found, err := e.listImages(ctx, "reference", named.String())
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(found, func(s *types.ImageSummary) bool { return slices.Contains(s.Names, named.String()) })
	if i < 0 || found[i].Containers > 0 {
		return false, nil
	}
	pruned, freed, err := e.removeUnused(ctx, named.String())
	if freed {
		err = e.removeIntermediates(ctx, found[i].ParentId)
	}
	return pruned, err
}

// removeIntermediates removes the images that a build made on the way to one
// that is gone, from the last of them on, as far as nothing else is built on
// them. Where this is cut off they stay, like the rest of podman's build cache.
func (e *Engine) removeIntermediates(ctx context.Context, id string) error {
	for id != "" {
		dangling, err := e.listImages(ctx, "dangling", "true")
		if err != nil {
			return err
		}
		i := slices.IndexFunc(dangling, func(s *types.ImageSummary) bool { return s.ID == id })
		if i < 0 || !isIntermediate(dangling[i]) {
			return nil
		}
		if _, freed, err := e.removeUnused(ctx, id); err != nil || !freed {
			return err
		}
		id = dangling[i].ParentId
	}
	return nil
}

// isIntermediate reports whether an image has never had a name but the one
// that a build gives to each of its steps until the next one is made.
func isIntermediate(image *types.ImageSummary) bool {
	return len(image.History) > 0 && !slices.ContainsFunc(image.History, func(name string) bool {
		return !strings.HasSuffix(name, "-tmp:latest")
	})
}

// removeUnused removes an image by a name or its id, and none of its parents.
// Where it has other names only this one goes, and the image is not freed. One
// that is gone already, or that a container has come to use, is left alone.
func (e *Engine) removeUnused(ctx context.Context, image string) (removed, freed bool, err error) {
	call, err := e.call(ctx)
	if err != nil {
		return false, false, e.translate(ctx, err, "prune image %s", image)
	}
	report, errs := images.Remove(call, []string{image}, new(images.RemoveOptions).WithNoPrune(true))
	if len(errs) == 0 {
		return true, len(report.Deleted) > 0, nil
	}
	err = e.translate(ctx, errs[0], "prune image %s", image)
	if fault.Is(err, fault.NotFound) || isInUse(errs[0]) {
		return false, false, nil
	}
	return false, false, err
}

// listImages is podman's own list of the images that pass a filter.
func (e *Engine) listImages(ctx context.Context, filter, value string) ([]*types.ImageSummary, error) {
	call, err := e.call(ctx)
	if err != nil {
		return nil, e.translate(ctx, err, "list images")
	}
	options := new(images.ListOptions).WithFilters(map[string][]string{filter: {value}})
	found, err := images.List(call, options)
	if err != nil {
		return nil, e.translate(ctx, err, "list images")
	}
	return found, nil
}
