package servicedef

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/spelling"
	"github.com/metacircular/mcp/servicedef/lines"
	"github.com/metacircular/mcp/servicedef/overlay"
)

// Problem is one error in a definition, with its place.
type Problem struct {
	File string `json:"file,omitempty"`
	// Line is 1 for a key that is missing at the top level of the file, and 0 if
	// there is no text.
	Line int `json:"line,omitempty"`
	// Key is the place in the definition: "components[1].health.http".
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
}

// Error returns "shop.toml:12: components[0].routes[1].port: must be …", without
// the parts that are empty.
func (p Problem) Error() string {
	var b strings.Builder
	switch {
	case p.File != "" && p.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	case p.File != "":
		fmt.Fprintf(&b, "%s: ", p.File)
	case p.Line > 0:
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Key != "" {
		fmt.Fprintf(&b, "%s: ", p.Key)
	}
	return b.String() + p.Message
}

// Errors holds every problem that was found, sorted by file and line.
type Errors []Problem

// Error returns one line for each problem.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, p := range e {
		texts[i] = p.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap lets errors.As find each Problem.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, p := range e {
		all[i] = p
	}
	return all
}

// OrNil sorts e and returns it, or nil if it is empty.
func (e Errors) OrNil() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
	return e
}

// report collects the problems of one definition.
type report struct {
	file string
	// text returns the lines of keys; nil for a definition that was not read from
	// text. It parses the text again, so it is called only for a problem.
	text func() *lines.Index
	// unusable holds the keys whose value could not be decoded. Further problems
	// with them would be noise.
	unusable map[string]bool
	problems Errors
	// merged is set for a definition in an environment, and environment is its name.
	merged      *overlay.Merged
	environment string
}

// add records a problem, unless the key or one that contains it is unusable.
func (r *report) add(key, format string, args ...any) {
	for k := key; k != ""; k = parentKey(k) {
		if r.unusable[k] {
			return
		}
	}
	message := fmt.Sprintf(format, args...)
	if r.merged != nil {
		origin, inherited := r.merged.Origin(key)
		if key = origin; inherited {
			message = r.inEnvironment() + message
		}
	}
	r.problems = append(r.problems, Problem{File: r.file, Line: r.line(key), Key: key, Message: message})
}

// inEnvironment begins the message of a problem that an environment has with what it
// inherits.
func (r *report) inEnvironment() string { return "in environment " + r.environment + ": " }

// line returns the line of the key; 0 if there is no text.
func (r *report) line(key string) int {
	if r.text == nil {
		return 0
	}
	return r.text().Line(key)
}

// reject records a problem that leaves the key without a value.
func (r *report) reject(key, format string, args ...any) {
	r.add(key, format, args...)
	r.unusable[key] = true
}

// didYouMean returns ", did you mean …?" if a known name is near, else "".
func didYouMean(name string, known []string) string {
	if near := spelling.Nearest(name, known); len(near) > 0 {
		return ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return ""
}
