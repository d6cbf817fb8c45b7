package runtime

import "io"

// AttachedExec is a command that runs in a container with streams of its own.
type AttachedExec struct {
	Command []string
	// Terminal gives it a terminal of that Size, of the type Term.
	Terminal bool
	Size     TerminalSize
	Term     string
	// Stdin is the command's input; nil for none. A read may last longer than the command.
	Stdin io.Reader
	// Stdout and Stderr receive its output. With a terminal all of it goes to Stdout.
	Stdout, Stderr io.Writer
	// Started is called when the command has been started.
	Started func() error
	// Resizes delivers new sizes of the terminal, and Signals the names of signals for the
	// command, such as "INT". Either may be nil.
	Resizes <-chan TerminalSize
	Signals <-chan string
}

// TerminalSize is that of a terminal, in characters.
type TerminalSize struct{ Rows, Columns uint16 }

// FileInfo describes a file in a container.
type FileInfo struct {
	Name string
	// Dir is set for a directory, and for a link to one.
	Dir bool
}
