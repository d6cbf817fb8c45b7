package ui

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/metacircular/mcp/internal/fault"
)

// Console has the streams of one command. A copy with another Prefix and Stderr is
// the console of one deploy of several.
type Console struct {
	// Stdout takes the result, Stderr everything else.
	Stdout, Stderr io.Writer
	// Stdin has the answers to what a command asks. Interactive reports whether an
	// operator can give them; nil for never.
	Stdin       io.Reader
	Interactive func() bool
	// JSON reports whether the result is one JSON object.
	JSON bool
	// Prefix begins each line about one deploy of several.
	Prefix string
	// Screen is the terminal that shows live lines; nil for none.
	Screen *Screen
}

// Asks reports whether an operator can answer a question.
func (c *Console) Asks() bool { return c.Interactive != nil && c.Interactive() }

// Say prints a line for a person, on Stderr.
func (c *Console) Say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.Stderr, format+"\n", args...)
}

// Fault prints a fault for a person, on Stderr.
func (c *Console) Fault(f *fault.Error) { writeFault(c.Stderr, f) }

// PrintJSON prints one object on Stdout.
func (c *Console) PrintJSON(v any) {
	out := json.NewEncoder(c.Stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	_ = out.Encode(v) // a failed write is recorded by Output
}

// Live shows lines on the screen, if there is one, until the returned function is
// called.
func (c *Console) Live(lines func() []Styled) (end func()) {
	return c.Screen.Open(func() []Styled {
		shown := lines()
		for i := range shown {
			shown[i] = Plain(c.Prefix) + shown[i]
		}
		return shown
	})
}
