package podman

import (
	"bytes"
	"io"
	"strings"
)

// lineWriter calls emit for each line written to it, without its end.
type lineWriter struct {
	emit    func(line string)
	partial []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.partial = append(w.partial, p...)
	for {
		line, rest, found := bytes.Cut(w.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.emit(strings.TrimRight(string(line), "\r"))
		w.partial = rest
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
	out   io.Writer // nil for none
	keep  int
	lines []string
	step  string // "STEP 2/3: RUN make"
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
	}
	b.lines = append(b.lines, line)
	if len(b.lines) > b.keep {
		b.lines = b.lines[1:]
	}
}
