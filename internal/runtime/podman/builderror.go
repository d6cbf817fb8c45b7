package podman

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// buildError translates the error of a failed build: Unavailable where podman or
// an image registry may recover, otherwise Invalid, because of the source.
func (e *Engine) buildError(ctx context.Context, err error, spec runtime.BuildSpec, output *buildOutput) error {
	if done := e.interrupted(ctx, err, "build "+spec.Tag); done != nil {
		return done
	}
	message, text := "build "+spec.Tag, readable(err.Error())
	if output.step != "" {
		message += ": " + output.step
		text = regexp.MustCompile(atStep).ReplaceAllString(text, "")
	}
	kind := fault.Invalid
	if metRemoval(text) {
		kind = fault.Unavailable
	}
	// An error of the base image's registry is not the source's. The output of a
	// RUN is, and may contain any word.
	if found, _ := diagnose(text, registrySymptoms); !output.running.Load() && (found == fault.Unavailable || found == fault.Unauthorized) {
		kind = found
	}
	result := fault.Wrap(kind, buildCause{text: text, cause: err}, "%s", message)
	result.Log = slices.DeleteFunc(output.last.lines, regexp.MustCompile(stepDump).MatchString)
	return result
}

// atStep matches what podman puts before the cause of a failed step. The message
// names the step as the output does, with its number.
const atStep = `^building at STEP ".*?": `

// stepDump matches a step's Go struct, which podman prints after the name of an
// unknown instruction.
const stepDump = ` ?&imagebuilder\.Step\{.*\}`

// noise lists what podman's error of a build reveals of podman itself, with its
// replacement: the step's struct, and the temporary directory with the build
// context, so that paths are relative to the context. The patterns are compiled
// when a build has failed, not at each start of mcp.
var noise = []struct{ found, shown string }{
	{stepDump, ""},
	{`Build error: Unknown instruction`, "unknown instruction"},
	{`checking on sources under "[^"]*/libpod_builder\d+/build": `, ""},
	{`Rel: can't make .* relative to \S+/libpod_builder\d+/build; `, ""},
	{`copier: stat: \[?"/?([^"]*)"\]?`, `find "$1" in the build context`},
	{`[^\s"']*/libpod_builder\d+/build/`, ""},
	{`[^\s"']*/libpod_builder\d+/build`, "the build context"},
}

// readable removes the noise from podman's error of a build.
func readable(text string) string {
	for _, n := range noise {
		text = regexp.MustCompile(n.found).ReplaceAllString(text, n.shown)
	}
	return strings.TrimSpace(text)
}

// buildCause is podman's error in a readable form.
type buildCause struct {
	text  string
	cause error
}

func (e buildCause) Error() string { return e.text }
func (e buildCause) Unwrap() error { return e.cause }

// isTransient reports whether a build failed because of other work of podman's,
// and may succeed when it is repeated.
func isTransient(err error) bool {
	return strings.HasSuffix(err.Error(), helperKilled) || metRemoval(err.Error())
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
	return strings.HasSuffix(text, "layer not known") || strings.Contains(text, "preparing container for next step: ")
}
