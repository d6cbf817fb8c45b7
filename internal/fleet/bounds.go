package fleet

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what a node may say. They lie far beyond what nodes have, and within
// what Postgres, its indexes and Temporal accept.
const (
	// MaxPort is the highest port.
	MaxPort = 65535
	// maxContainers bounds the containers of a node, maxPorts those that one publishes.
	maxContainers = 20_000
	maxPorts      = 10_000
	// maxName bounds the bytes of a name or a word, maxText those of a reference, a
	// path or a message.
	maxName = 255
	maxText = 1024
	// maxCount bounds counts, which are 32 bits long in the registry.
	maxCount = math.MaxInt32
	// maxFigure bounds a load average.
	maxFigure = 1_000_000
)

// Text returns a text from a node as the registry can hold it: valid UTF-8 without
// NUL, cut to so many bytes.
func Text(text string, most int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) <= most {
		return text
	}
	const mark = "…"
	cut := max(0, most-len(mark))
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + mark
}

// word is Text of a name or a word.
func word(text string) string { return Text(text, maxName) }

// within returns the value within bounds that is nearest to n; for NaN, the lower
// bound.
func within[N int | float64](n, low, high N) N {
	switch {
	case n >= high:
		return high
	case n > low:
		return n
	}
	return low
}

// moment returns a time that the registry can hold; the zero time for any other.
func moment(t time.Time) time.Time {
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}
