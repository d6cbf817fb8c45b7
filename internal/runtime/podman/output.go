package podman

import (
	"bytes"
	"io"
	"strings"
	"sync/atomic"
)

// maxLine is how much of a line is kept. A program may print for as long as it
// likes without ending one, and what it printed travels in errors.
const maxLine = 2 << 10

// lineWriter calls emit for each line written to it, without its end.
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

// end emits what has been written of a line that may have no end.
func (w *lineWriter) end() {
	w.emit(strings.ToValidUTF8(strings.TrimRight(string(w.partial), "\r"), "\uFFFD"))
	w.partial = w.partial[:0]
}

// tail keeps the last lines that it was given.
type tail struct {
	keep  int
	lines []string
}

func (t *tail) add(line string) {
	t.lines = append(t.lines, line)
	if len(t.lines) > t.keep {
		t.lines = t.lines[1:]
	}
}

// progressWriter reports the lines that podman writes while it copies an
// image; blank ones say nothing.
func progressWriter(report func(line string)) io.Writer {
	if report == nil {
		return io.Discard
	}
	return &lineWriter{emit: func(line string) {
		if line = strings.TrimSpace(line); line != "" {
			report(line)
		}
	}}
}

// buildOutput passes a build's output on, and keeps of it what an error needs:
// the last lines, and the step that was under way.
type buildOutput struct {
	out  io.Writer // nil for none
	last tail
	step string // "STEP 2/3: RUN make"
	// running is set while the step is a RUN.
	running atomic.Bool
}

func (b *buildOutput) writer() io.Writer {
	own := &lineWriter{emit: b.add}
	if b.out == nil {
		return own
	}
	return io.MultiWriter(own, b.out)
}

func (b *buildOutput) add(line string) {
	if _, step, found := strings.Cut(line, "STEP "); found && strings.Contains(step, ": ") {
		b.step = "STEP " + step
		b.running.Store(strings.Contains(step, ": RUN "))
	}
	b.last.add(line)
}
