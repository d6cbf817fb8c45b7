package onbuilder

import (
	"bytes"
	"regexp"
)

// stepPattern matches the lines with which buildah announces a step.
var stepPattern = regexp.MustCompile(`STEP \d+/\d+`)

// stepWriter reports each "STEP n/m" at the beginning of a line of a build's
// output.
type stepWriter struct {
	report func(step string)
	line   []byte // its first bytes
}

// stepLength is the length of a line's beginning that holds its step.
const stepLength = 64

func (w *stepWriter) Write(p []byte) (int, error) {
	written := len(p)
	for {
		line, rest, found := bytes.Cut(p, []byte("\n"))
		w.line = append(w.line, line[:min(len(line), stepLength-len(w.line))]...)
		if !found {
			return written, nil
		}
		if step := stepPattern.Find(w.line); step != nil {
			w.report(string(step))
		}
		w.line, p = w.line[:0], rest
	}
}
