// Package display is a terminal for tests: what a person would see of what a
// program has written.
package display

import (
	"bytes"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
)

// Display is an emulated terminal. It may be written to and looked at by two
// goroutines at once.
type Display struct {
	emulator *vt.SafeEmulator
	// Columns and Rows are its size.
	Columns, Rows int
}

// New is an empty terminal.
func New(columns, rows int) *Display {
	return &Display{emulator: vt.NewSafeEmulator(columns, rows), Columns: columns, Rows: rows}
}

// Size is the terminal's, as a program would ask for it.
func (d *Display) Size() (columns, rows int) { return d.Columns, d.Rows }

// Write takes what a program writes. As a terminal's driver does, it lets a
// line's end return to the first column.
func (d *Display) Write(p []byte) (int, error) {
	_, err := d.emulator.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n")))
	return len(p), err
}

// Text is what can be read, without colours and without the empty lines at the
// end.
func (d *Display) Text() string {
	lines := strings.Split(ansi.Strip(d.emulator.Render()), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \r")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}
