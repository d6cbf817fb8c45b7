package podman

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/imageref"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/building"
)

// followBuild runs a build, writes its output and returns the id of the image.
func (e *Engine) followBuild(ctx context.Context, r request, output *building.Output) (string, error) {
	defer output.End()
	err := e.follow(ctx, r, output.Report)
	if err == nil && output.Image() == "" {
		err = fmt.Errorf("podman ended the build without an image: %w", io.ErrUnexpectedEOF)
	}
	return output.Image(), err
}

// buildError translates the error of a failed build: Unavailable where podman or
// an image registry may recover, otherwise Invalid, because of the source.
func (e *Engine) buildError(ctx context.Context, err error, spec runtime.BuildSpec, output *building.Output) error {
	if done := e.interrupted(ctx, err, "build "+spec.Tag); done != nil {
		return done
	}
	failed := e.buildFailure(ctx, err)
	message := "build " + spec.Tag
	if step := output.Step(); step != "" {
		message += ": " + step
		failed.text = building.WithoutStep(failed.text)
	}
	result := fault.Wrap(failed.kind, failed, "%s", message)
	if failed.kind == fault.DiskFull {
		result = result.WithHint("%s", diskHint)
	}
	result.Log = output.Log()
	return result
}

// buildFailure is podman's error of a build in a readable form.
type buildFailure struct {
	text  string
	kind  fault.Kind
	cause error
	// transient is set if the build failed because of other work of podman's, and
	// may succeed when it is repeated.
	transient bool
}

func (f buildFailure) Error() string { return f.text }
func (f buildFailure) Unwrap() error { return f.cause }

// isTransient reports whether a build may succeed when it is repeated.
func isTransient(err error) bool {
	var failed buildFailure
	return errors.As(err, &failed) && failed.transient
}

// buildFailure determines the kind of a failed build's error from the operation
// that the error names. Only the pull of a base image and the download of an ADD
// involve an image registry or the network. A RUN is the source's, whatever it
// prints.
func (e *Engine) buildFailure(ctx context.Context, err error) buildFailure {
	text := strings.TrimSpace(err.Error())
	failed := buildFailure{text: building.Readable(text), kind: fault.Invalid, cause: err}
	removed := metRemoval(text)
	failed.transient = removed || strings.HasSuffix(text, helperKilled)
	switch {
	case isDiskFull(err):
		failed.kind = fault.DiskFull
	case removed:
		failed.kind = fault.Unavailable
	case strings.HasPrefix(text, pullsBase):
		failed.kind = ofBase(chainOf(text).ofRegistry())
	case regexp.MustCompile(missingFrom).MatchString(text):
		failed.kind = e.kindOfMissing(ctx, regexp.MustCompile(missingFrom).FindStringSubmatch(text)[1])
	default:
		for _, line := range regexp.MustCompile(downloads).FindAllStringSubmatch(text, -1) {
			failed.kind = ofDownload(chainOf(line[1]))
		}
	}
	return failed
}

const (
	// pullsBase begins podman's error of a FROM.
	pullsBase = "creating build container: "
	// missingFrom matches podman's error of a COPY --from whose image could not be
	// pulled, for whatever reason.
	missingFrom = `^(?:COPY|ADD) --from=(\S+): no stage or image found with that name$`
	// downloads matches podman's error of an ADD of a URL, whether it is the only
	// one or one of several.
	downloads = `(?m)^(?:building at STEP "ADD .*": |\s*\* )reading "https?://[^"]*": (.*)$`
)

// ofBase returns the kind of a failed build whose base image could not be pulled:
// an image that does not exist is the source's mistake.
func ofBase(kind fault.Kind, _ bool) fault.Kind {
	switch kind {
	case fault.Unavailable, fault.Unauthorized, fault.DiskFull:
		return kind
	}
	return fault.Invalid
}

// ofDownload returns the kind of a failed build whose ADD could not fetch a URL.
func ofDownload(causes chain) fault.Kind {
	if _, found := causes.kind(networkCauses); found {
		return fault.Unavailable
	}
	if kind, _ := causes.ofStatus(); kind == fault.Unavailable {
		return fault.Unavailable
	}
	return fault.Invalid
}

// kindOfMissing pulls the image of a COPY --from to learn why podman did not find
// it, because its error gives no cause. A name without a registry is a stage's.
func (e *Engine) kindOfMissing(ctx context.Context, image string) fault.Kind {
	if _, err := imageref.Parse(image); err != nil || !strings.Contains(image, "/") {
		return fault.Invalid
	}
	err := e.copyImage(ctx, post("/images/pull").with(url.Values{"reference": {image}, "policy": {"missing"}}), nil, nil)
	switch {
	case err == nil:
		return fault.Unavailable // it can be pulled now
	case isDiskFull(err):
		return fault.DiskFull
	}
	return ofBase(causesOf(err).ofRegistry())
}

// helperKilled is the end of podman's error if the helper that runs a step was
// killed, not the step's own process. The kernel kills the helper when the thread
// that started it ends, and Go ends threads when podman sets up a container's
// network at the same time.
const helperKilled = "while running runtime: signal: killed"

// metRemoval reports whether podman's error means that an image was removed
// while the build searched all images for a cached step, or used that image as
// one.
func metRemoval(text string) bool {
	causes := chainOf(text)
	return strings.HasSuffix(text, ": "+layerGone.text) || text == layerGone.text || causes.has(stepPrepared)
}
