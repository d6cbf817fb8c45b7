package podman

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/imageref"
)

// imageSummary is what podman's list says of an image, as far as it is read.
type imageSummary struct {
	ID, ParentID string
	Names        []string
	History      []string // the names that it has had
	Containers   int      // how many use it
}

// PruneImage takes one name from an image that no container uses, and frees the
// image with its last name. It looks for the name first, because podman takes
// a digest that is no name of an image for any tag that it has. Nor does it
// let podman remove the image's parents: one that has lost its tag, as a base
// image does when a newer one is pulled, may be somebody's.
func (e *Engine) PruneImage(ctx context.Context, image string) (bool, error) {
	ref, err := imageref.Parse(image)
	if err != nil {
		return false, fault.Wrap(fault.Invalid, err, "prune image %s", image)
	}
	// One at a time, so that a name that was found is still there when it is
	// removed. Podman itself, where two remove two names of one image at the
	// same time, leaves the image without a name.
	e.pruning.Lock()
	defer e.pruning.Unlock()
	found, err := e.listImages(ctx, "reference", ref.String())
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(found, func(s imageSummary) bool { return slices.Contains(s.Names, ref.String()) })
	if i < 0 || found[i].Containers > 0 {
		return false, nil
	}
	pruned, freed, err := e.removeUnused(ctx, ref.String())
	if freed {
		err = e.removeIntermediates(ctx, found[i].ParentID)
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

// isIntermediate reports whether an image has never had a name but the one
// that a build gives to each of its steps until the next one is made.
func isIntermediate(image imageSummary) bool {
	return len(image.History) > 0 && !slices.ContainsFunc(image.History, func(name string) bool {
		return !strings.HasSuffix(name, "-tmp:latest")
	})
}

// removeUnused removes an image by a name or its id, and none of its parents.
// Where it has other names only this one goes, and the image is not freed. One
// that is gone already, or that a container has come to use, is left alone.
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

// listImages is podman's own list of the images that pass a filter.
func (e *Engine) listImages(ctx context.Context, filter, value string) ([]imageSummary, error) {
	var found []imageSummary
	if err := e.ask(ctx, get("/images/json").with(filters(map[string][]string{filter: {value}})), &found); err != nil {
		return nil, e.translate(ctx, err, "list images")
	}
	return found, nil
}
