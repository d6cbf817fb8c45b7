package podman

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/imageref"
)

// PruneImage removes one name of an image that no container uses, and with the
// last name the image. It checks first that the image has that name, because
// podman, given a digest that is not a name, removes any tag of its image. It does
// not let podman remove the image's parents: a parent without a tag, such as a
// base image of which a newer one was pulled, may still be wanted.
func (e *Engine) PruneImage(ctx context.Context, image string) (bool, error) {
	ref, err := imageref.Parse(image)
	if err != nil {
		return false, fault.Wrap(fault.Invalid, err, "prune image %s", image)
	}
	// One at a time, so that the name still exists when it is removed. Podman
	// leaves an image without a name if two callers remove its last two names
	// at the same time.
	e.pruning.Lock()
	defer e.pruning.Unlock()
	name := ref.String()
	pruned, err := e.pruneName(ctx, name)
	if err != nil || ref.Digest != "" {
		return pruned, err
	}
	others, err := e.platformImages(ctx, name)
	for _, other := range others {
		var also bool
		if also, err = e.pruneName(ctx, other); err != nil {
			break
		}
		pruned = pruned || also
	}
	return pruned, err
}

// pruneName removes one name of an image that no container uses.
func (e *Engine) pruneName(ctx context.Context, name string) (bool, error) {
	found, err := e.listImages(ctx, "reference", name)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(found, func(s imageSummary) bool { return slices.Contains(s.Names, name) })
	if i < 0 || found[i].Containers > 0 {
		return false, nil
	}
	pruned, freed, err := e.removeUnused(ctx, name)
	if freed {
		err = e.removeIntermediates(ctx, found[i].ParentID)
	}
	return pruned, err
}

// removeIntermediates removes the images of a build's steps, after the image that
// was built, from the last step back to one on which another image is built. An
// interruption leaves them behind, like the rest of podman's build cache.
func (e *Engine) removeIntermediates(ctx context.Context, id string) error {
	for id != "" {
		dangling, err := e.listImages(ctx, "dangling", "true")
		if err != nil {
			return err
		}
		i := slices.IndexFunc(dangling, func(s imageSummary) bool { return s.ID == id })
		if i < 0 || !isIntermediate(dangling[i]) {
			return nil
		}
		if _, freed, err := e.removeUnused(ctx, id); err != nil || !freed {
			return err
		}
		id = dangling[i].ParentID
	}
	return nil
}

// isIntermediate reports whether an image has never had another name than the
// temporary one that a build gives to each step.
func isIntermediate(image imageSummary) bool {
	return len(image.History) > 0 && !slices.ContainsFunc(image.History, func(name string) bool {
		return !strings.HasSuffix(name, "-tmp:latest")
	})
}

// removeUnused removes an image, given a name or its id, without its parents. If
// the image has other names, only this one is removed and freed is false. A
// missing image, or one that a container uses meanwhile, is left alone.
func (e *Engine) removeUnused(ctx context.Context, image string) (removed, freed bool, err error) {
	freed, cause := e.askToRemove(ctx, image, url.Values{"noprune": {"true"}})
	if cause == nil {
		return true, freed, nil
	}
	err = e.translate(ctx, cause, "prune image %s", image)
	if fault.Is(err, fault.NotFound) || isInUse(cause) {
		return false, false, nil
	}
	return false, false, err
}
