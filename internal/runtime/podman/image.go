package podman

import (
	"context"
	"strings"

	"github.com/containers/podman/v5/pkg/bindings/images"
	"github.com/distribution/reference"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// Push copies a local image to its image registry. It says nothing of the
// digest there, which need not be the local one: ask the image registry.
func (e *Engine) Push(ctx context.Context, spec runtime.PushSpec) error {
	call, err := e.call(ctx)
	if err != nil {
		return e.translate(ctx, err, "push %s", spec.Image)
	}
	options := new(images.PushOptions).WithQuiet(spec.Progress == nil).WithSkipTLSVerify(spec.Insecure).WithAuthfile(e.authFile).
		WithProgressWriter(progressWriter(spec.Progress))
	// A push that was cancelled ends its stream without an error.
	err = images.Push(call, spec.Image, spec.Image, options)
	if err != nil || ctx.Err() != nil {
		return e.translateRegistry(ctx, err, "push", spec.Image)
	}
	return nil
}

// Pull fetches an image. What a digest names cannot change, so one that is
// here is not asked for again; a tag always is.
func (e *Engine) Pull(ctx context.Context, spec runtime.PullSpec) error {
	if strings.Contains(spec.Image, "@") {
		if here, err := e.ImageExists(ctx, spec.Image); err != nil || here {
			return err
		}
	}
	call, err := e.call(ctx)
	if err != nil {
		return e.translate(ctx, err, "pull %s", spec.Image)
	}
	options := new(images.PullOptions).WithPolicy("always").WithSkipTLSVerify(spec.Insecure).WithAuthfile(e.authFile).
		WithProgressWriter(progressWriter(spec.Progress))
	_, err = images.Pull(call, spec.Image, options)
	if err != nil || ctx.Err() != nil {
		return e.translateRegistry(ctx, err, "pull", spec.Image)
	}
	return nil
}

// ImageExists reports whether an image is in local storage. It inspects the
// image, because the bindings' Exists takes every failure for a no.
func (e *Engine) ImageExists(ctx context.Context, image string) (bool, error) {
	call, err := e.call(ctx)
	if err == nil {
		_, err = images.GetImage(call, image, nil)
	}
	if err == nil {
		return true, nil
	}
	err = e.translate(ctx, err, "look for image %s", image)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return false, err
}

// RemoveImage removes a tag, and the image with its last tag unless a
// container uses it.
func (e *Engine) RemoveImage(ctx context.Context, image string) error {
	call, err := e.call(ctx)
	if err != nil {
		return e.translate(ctx, err, "remove image %s", image)
	}
	_, errs := images.Remove(call, []string{image}, nil)
	if len(errs) == 0 {
		return nil
	}
	if isInUse(errs[0]) {
		return e.untag(ctx, image)
	}
	err = e.translate(ctx, errs[0], "remove image %s", image)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// isInUse reports whether podman refused to remove an image because of a
// container.
func isInUse(err error) bool { return strings.Contains(err.Error(), "in use by") }

// untag takes the tag from an image that has to stay.
func (e *Engine) untag(ctx context.Context, image string) error {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "untag %s", image)
	}
	tagged, ok := named.(reference.Tagged)
	if !ok {
		return nil // a digest is no tag, and goes with the image
	}
	call, err := e.call(ctx)
	if err == nil {
		err = images.Untag(call, image, tagged.Tag(), named.Name(), nil)
	}
	if err != nil {
		return e.translate(ctx, err, "untag %s", image)
	}
	return nil
}
