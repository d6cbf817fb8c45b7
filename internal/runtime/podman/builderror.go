package podman

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// buildError translates a failed build. What podman cannot do for now is worth
// waiting for; everything else is the source's fault.
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
	if isOvertaken(text) {
		kind = fault.Unavailable
	}
	// The base image's registry is not the source's fault; but what a RUN says
	// is its own, and may have any word in it.
	if found, _ := diagnose(text, registrySymptoms); !output.running.Load() && (found == fault.Unavailable || found == fault.Unauthorized) {
		kind = found
	}
	result := fault.Wrap(kind, buildCause{text: text, cause: err}, "%s", message)
	result.Log = slices.DeleteFunc(output.last.lines, regexp.MustCompile(stepDump).MatchString)
	return result
}

// atStep is what podman puts before the cause of a failed step. The message
// names the step in the output's own words, with its number.
const atStep = `^building at STEP ".*?": `

// stepDump is a step as Go prints its struct, which podman adds to the name of
// an instruction that does not exist.
const stepDump = ` ?&imagebuilder\.Step\{.*\}`

// noise is what podman's words about a build hold of podman itself: the step's
// struct, and the place in its own temporary directory to which the build
// context was unpacked. Paths are shown relative to the context. They are compiled
// when a build has failed, and not each time that mcp starts.
var noise = []struct{ found, shown string }{
	{stepDump, ""},
	{`Build error: Unknown instruction`, "unknown instruction"},
	{`checking on sources under "[^"]*/libpod_builder\d+/build": `, ""},
	{`Rel: can't make .* relative to \S+/libpod_builder\d+/build; `, ""},
	{`copier: stat: \[?"/?([^"]*)"\]?`, `find "$1" in the build context`},
	{`[^\s"']*/libpod_builder\d+/build/`, ""},
	{`[^\s"']*/libpod_builder\d+/build`, "the build context"},
}

// readable is podman's text about a failed build without its noise.
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
