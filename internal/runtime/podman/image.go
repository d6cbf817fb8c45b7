package podman

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/url"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/imageref"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/logins"
	"github.com/metacircular/mcp/internal/runtime/podman/printed"
)

// Push copies a local image, or a list of images, to its image registry. The digest there
// may differ from the local one; only the image registry has it.
func (e *Engine) Push(ctx context.Context, spec runtime.PushSpec) error {
	var sent string
	var err error
	if len(spec.Platforms) > 1 {
		sent, err = e.pushList(ctx, spec)
	} else {
		sent, err = e.pushOne(ctx, spec)
	}
	// The stream of a cancelled push ends without an error.
	if err != nil || ctx.Err() != nil {
		return e.translateRegistry(ctx, err, "push", spec.Image)
	}
	if spec.Sent == nil {
		return nil
	}
	if digest.Digest(sent).Validate() != nil {
		return fault.New(fault.Internal, "push %s: podman does not report the digest that it has sent, but %q", spec.Image, sent)
	}
	spec.Sent(sent)
	return nil
}

// pushOne pushes an image, and returns the digest that it has sent, if that is asked for.
func (e *Engine) pushOne(ctx context.Context, spec runtime.PushSpec) (sent string, err error) {
	query := url.Values{
		"destination": {spec.Image}, "tlsVerify": {strconv.FormatBool(!spec.Insecure)},
		"quiet": {strconv.FormatBool(spec.Progress == nil && spec.Sent == nil)},
	}
	push := post("/images/%s/push", spec.Image).with(query)
	err = e.copyImage(ctx, push, spec.Progress, func(r report) { sent = cmp.Or(r.ManifestDigest, sent) })
	if err != nil || ctx.Err() != nil || spec.Sent == nil || sent != "" {
		return sent, err
	}
	// Podman 4 reports the digest in docker's API alone. This push sends the manifest again,
	// and no layer.
	push.docker = true
	err = e.copyImage(ctx, push, nil, func(r report) {
		if _, rest, found := strings.Cut(r.Status, ": digest: "); found {
			sent, _, _ = strings.Cut(rest, " ")
		}
	})
	return sent, err
}

// Pull fetches an image: a tag always, a digest only if it is missing, because
// the image of a digest cannot change.
func (e *Engine) Pull(ctx context.Context, spec runtime.PullSpec) error {
	policy := "always"
	if strings.Contains(spec.Image, "@") {
		policy = "missing"
	}
	err := e.copyImage(ctx, post("/images/pull").with(url.Values{
		"reference": {spec.Image}, "tlsVerify": {strconv.FormatBool(!spec.Insecure)}, "policy": {policy},
	}), spec.Progress, nil)
	if err != nil || ctx.Err() != nil {
		return e.translateRegistry(ctx, err, "pull", spec.Image)
	}
	return nil
}

// copyImage makes podman copy an image from or to an image registry. Each report is passed
// to reported, unless that is nil.
func (e *Engine) copyImage(ctx context.Context, r request, progress func(line string), reported func(report)) error {
	header, err := logins.Header(e.authFile, logins.ForCopy)
	if err != nil {
		return err
	}
	r.header = header
	output := printed.Progress(progress)
	return e.reports(ctx, r, func(r report) {
		_, _ = io.WriteString(output, r.Stream)
		if reported != nil {
			reported(r)
		}
	})
}

// ImageExists reports whether an image is in local storage.
func (e *Engine) ImageExists(ctx context.Context, image string) (bool, error) {
	err := e.ask(ctx, get("/images/%s/exists", image), nil)
	if err == nil {
		return true, nil
	}
	err = e.translate(ctx, err, "find image %s", image)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return false, err
}

// RemoveImage removes a tag, and with the last tag the image, unless a container
// uses it.
func (e *Engine) RemoveImage(ctx context.Context, image string) error {
	names := []string{image}
	if !strings.Contains(image, "@") {
		others, err := e.platformImages(ctx, image)
		if err != nil {
			return err
		}
		names = append(names, others...)
	}
	for _, name := range names {
		if err := e.removeName(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) removeName(ctx context.Context, image string) error {
	_, cause := e.askToRemove(ctx, image, nil)
	if cause == nil {
		return nil
	}
	var err error
	if isInUse(cause) {
		err = e.untag(ctx, image)
	} else {
		err = e.translate(ctx, cause, "remove image %s", image)
	}
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// askToRemove makes podman remove a name of an image, and reports whether that
// removed the image.
func (e *Engine) askToRemove(ctx context.Context, image string, options url.Values) (freed bool, err error) {
	query := url.Values{"images": {image}}
	maps.Copy(query, options)
	var removed struct{ Deleted, Errors []string }
	if err := e.ask(ctx, del("/images/remove").with(query), &removed); err != nil {
		return false, err
	}
	if len(removed.Errors) > 0 {
		return false, errors.New(removed.Errors[0])
	}
	return len(removed.Deleted) > 0, nil
}

// isInUse reports whether podman refused to remove an image because a container
// uses it.
func isInUse(err error) bool { return causesOf(err).has(imageInUse) }

// untag removes a tag and keeps the image.
func (e *Engine) untag(ctx context.Context, image string) error {
	ref, err := imageref.Parse(image)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "untag %s", image)
	}
	if ref.Tag == "" {
		return nil // a digest is not a tag; it is removed with the image
	}
	err = e.ask(ctx, post("/images/%s/untag", image).with(url.Values{"repo": {ref.Name()}, "tag": {ref.Tag}}), nil)
	if err != nil {
		return e.translate(ctx, err, "untag %s", image)
	}
	return nil
}
