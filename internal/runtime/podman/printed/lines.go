package printed

import (
	"bytes"
	"io"
	"strings"
)

// maxLine is the number of bytes of a line that are kept. A program may print
// without limit and never end a line, and errors hold its output.
const maxLine = 2 << 10

// Lines returns a writer that calls emit with each line written to it, without its line
// break, cut after 2 KiB, and as valid UTF-8.
func Lines(emit func(line string)) io.Writer { return &lineWriter{emit: emit} }

type lineWriter struct {
	emit    func(line string)
	partial []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	written := len(p)
	for {
		line, rest, found := bytes.Cut(p, []byte("\n"))
		w.partial = append(w.partial, line[:min(len(line), maxLine-len(w.partial))]...)
		if !found {
			return written, nil
		}
		w.end()
		p = rest
	}
}

// end emits the line that has been written so far.
func (w *lineWriter) end() {
	w.emit(strings.ToValidUTF8(strings.TrimRight(string(w.partial), "\r"), "\uFFFD"))
	w.partial = w.partial[:0]
}

// Progress returns a writer that reports the lines that podman prints while it copies an
// image, except blank ones. Report may be nil.
func Progress(report func(line string)) io.Writer {
	if report == nil {
		return io.Discard
	}
	return Lines(func(line string) {
		if line = strings.TrimSpace(line); line != "" {
			report(line)
		}
	})
}
