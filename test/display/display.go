// Package display is a terminal for tests: it shows the output of a program as a person
// sees it.
package display

import (
	"bytes"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
)

// Display is an emulated terminal. One goroutine may write to it while another reads
// its text.
type Display struct {
	emulator *vt.SafeEmulator
	// Columns and Rows are its size.
	Columns, Rows int
}

// New is an empty terminal.
func New(columns, rows int) *Display {
	return &Display{emulator: vt.NewSafeEmulator(columns, rows), Columns: columns, Rows: rows}
}

// Size is the size that a program sees.
func (d *Display) Size() (columns, rows int) { return d.Columns, d.Rows }

// Write writes the output of a program. Like a terminal's driver, it has a line's end
// return to the first column.
func (d *Display) Write(p []byte) (int, error) {
	_, err := d.emulator.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n")))
	return len(p), err
}

// Text is the visible text, without colours and without the empty lines at the end.
func (d *Display) Text() string {
	lines := strings.Split(ansi.Strip(d.emulator.Render()), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \r")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}
