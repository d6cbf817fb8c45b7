package building

import (
	"regexp"
	"strings"
)

// atStep matches what podman puts before the cause of a failed step.
const atStep = `^building at STEP ".*?": `

// WithoutStep removes the step from the beginning of podman's error of a build, for a
// message that names the step as the output does, with its number.
func WithoutStep(text string) string {
	return regexp.MustCompile(atStep).ReplaceAllString(text, "")
}

// stepDump matches a step's Go struct, which podman prints after the name of an
// unknown instruction.
const stepDump = ` ?&imagebuilder\.Step\{.*\}`

// noise lists what podman's error of a build reveals of podman itself, with its
// replacement: the structs of a step and of a copy, and the temporary directory with
// the build context, so that paths are relative to the context. The patterns are compiled
// when a build has failed, not at each start of mcp.
var noise = []struct{ found, shown string }{
	{stepDump, ""},
	{`error during bulk transfer for copier\.request\{.*?RemoveOptions\{All:(?:true|false)\}\}: `, ""},
	{`Build error: Unknown instruction`, "unknown instruction"},
	{`checking on sources under "[^"]*/libpod_builder\d+/build": `, ""},
	{`Rel: can't make .* relative to \S+/libpod_builder\d+/build; `, ""},
	{`copier: stat: \[?"/?([^"]*)"\]?`, `find "$1" in the build context`},
	{`[^\s"']*/libpod_builder\d+/build/`, ""},
	{`[^\s"']*/libpod_builder\d+/build`, "the build context"},
}

// Readable removes from podman's error of a build what it reveals of podman itself.
func Readable(text string) string {
	for _, n := range noise {
		text = regexp.MustCompile(n.found).ReplaceAllString(text, n.shown)
	}
	return strings.TrimSpace(text)
}
