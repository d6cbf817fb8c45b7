package ui

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Guarded returns a writer to a file. If that is a terminal, control characters in
// what is written become visible, so that no text of a container, a node or a file
// can move the cursor, set a title or reach the clipboard. Anything else, such as a
// pipe, is written to unchanged.
func Guarded(f *os.File) io.Writer {
	if !term.IsTerminal(int(f.Fd())) {
		return f
	}
	return guard{f}
}

// guard is the writer to a terminal.
type guard struct{ out io.Writer }

func (g guard) Write(p []byte) (int, error) {
	if _, err := io.WriteString(g.out, Visible(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (g guard) writeStyled(text Styled) error {
	_, err := io.WriteString(g.out, string(text))
	return err
}
