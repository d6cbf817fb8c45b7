package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// Exit codes: see App.Run.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitDirty       = 3
	exitUnreachable = 4
	exitInterrupted = 130
)

// unreachableError says that the control plane cannot be reached.
type unreachableError struct{ fault *fault.Error }

func (e unreachableError) Error() string { return e.fault.Error() }
func (e unreachableError) Unwrap() error { return e.fault }

// fail shows an error, in one shape for all verbs, and returns the exit code.
func (a *App) fail(err error) int {
	if code, ok := asExit(err); ok {
		return code
	}
	code, f := classify(err)
	if a.json {
		a.printJSON(failure{f})
	}
	writeFault(a.Stderr, f)
	return code
}

// classify finds the exit code for an error, and what to show of it.
func classify(err error) (int, *fault.Error) {
	var usage usageError
	var unreachable unreachableError
	var problems servicedef.Errors
	var unknown *servicedef.NotFoundError
	switch {
	case errors.As(err, &unreachable):
		return exitUnreachable, unreachable.fault
	case errors.As(err, &unknown):
		f := fault.New(fault.NotFound, "%s", unknown.Error())
		if len(unknown.Nearest) > 0 {
			f = f.WithHint("did you mean %s?", strings.Join(unknown.Nearest, " or "))
		}
		return exitUsage, f
	case errors.As(err, &usage) && errors.As(err, new(*fault.Error)):
		return exitUsage, fault.Of(err)
	case errors.As(err, &problems), errors.As(err, &usage):
		return exitUsage, fault.New(fault.Invalid, "%s", err.Error())
	}
	return exitFailed, fault.Of(err)
}

// writeFault shows a fault to a person.
func writeFault(w io.Writer, f *fault.Error) {
	lines := strings.Split(strings.TrimRight(f.Message, "\n"), "\n")
	_, _ = fmt.Fprintf(w, "error: %s\n", strings.Join(lines, "\n       "))
	if place := placeOf(f); place != "" {
		_, _ = fmt.Fprintf(w, "       %s\n", place)
	}
	if len(f.Log) > 0 {
		_, _ = fmt.Fprintln(w, "       its last lines:")
		for _, line := range f.Log {
			_, _ = fmt.Fprintf(w, "       | %s\n", line)
		}
	}
	if f.Hint != "" {
		_, _ = fmt.Fprintf(w, "hint:  %s\n", f.Hint)
	}
}

// placeOf says where a fault happened.
func placeOf(f *fault.Error) string {
	var parts []string
	if f.Component != "" {
		parts = append(parts, "component "+f.Component)
	}
	if f.Node != "" {
		parts = append(parts, "node "+f.Node)
	}
	return strings.Join(parts, " on ")
}

// printJSON prints one object on stdout.
func (a *App) printJSON(v any) {
	out := json.NewEncoder(a.Stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	_ = out.Encode(v) // a closed pipe is the reader's own wish
}
