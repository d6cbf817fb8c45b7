package building

import (
	"bytes"
	"io"
	"slices"
	"strings"
)

const (
	// shortestMask is the length of the shortest line of a secret that is masked: shorter
	// ones occur in any output by chance.
	shortestMask = 6
	// masked replaces it.
	masked = "[secret]"
	// maskedLine bounds what is held back of a line that does not end.
	maskedLine = 64 << 10
)

// masksOf returns the lines of secrets that the output of a build must not show, the
// longest first.
func masksOf(secrets map[string][]byte) []string {
	var masks []string
	for _, text := range secrets {
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); len(line) >= shortestMask {
				masks = append(masks, line)
			}
		}
	}
	slices.SortFunc(masks, func(a, b string) int { return len(b) - len(a) })
	return masks
}

// maskWriter replaces secrets in what is written to it. With masks, it passes on whole
// lines.
type maskWriter struct {
	to    io.Writer
	masks []string
	line  []byte
}

func (w *maskWriter) Write(p []byte) (int, error) {
	if len(w.masks) == 0 {
		return w.to.Write(p)
	}
	w.line = append(w.line, p...)
	if i := bytes.LastIndexByte(w.line, '\n'); i >= 0 || len(w.line) > maskedLine {
		if i < 0 {
			i = len(w.line) - 1
		}
		w.pass(w.line[:i+1])
		w.line = append(w.line[:0], w.line[i+1:]...)
	}
	return len(p), nil
}

// end passes on the last line.
func (w *maskWriter) end() {
	w.pass(w.line)
	w.line = nil
}

func (w *maskWriter) pass(text []byte) {
	if len(text) == 0 {
		return
	}
	shown := string(text)
	for _, secret := range w.masks {
		shown = strings.ReplaceAll(shown, secret, masked)
	}
	_, _ = io.WriteString(w.to, shown) // a log that cannot be written fails no build
}
