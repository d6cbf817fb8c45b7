package ui

import (
	"fmt"
	"io"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
)

// writeFault prints a fault for a person.
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

// placeOf names the component and the node of a fault.
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
