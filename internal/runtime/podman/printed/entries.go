package printed

import (
	"bytes"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/runtime"
)

// Entry is a line of a log, or a piece of one, as podman stores it.
type Entry struct {
	Time   time.Time
	Stderr bool   // of standard error, not of standard output
	Text   []byte // valid until the next entry
	// Ends is set for the last piece of a line.
	Ends bool
}

// Joiner joins the entries of a log into lines.
type Joiner struct {
	each func(runtime.LogLine) bool
	done bool        // each has returned false
	open [2]openLine // of stdout, and of stderr
}

// JoinTo returns a Joiner that calls each with the lines, until each returns false.
func JoinTo(each func(runtime.LogLine) bool) *Joiner { return &Joiner{each: each} }

// openLine is a line whose last piece has not arrived.
type openLine struct {
	time time.Time
	text []byte
	some bool
}

// Add adds an entry. It returns false if each has returned false.
func (j *Joiner) Add(entry Entry) bool {
	i := 0
	if entry.Stderr {
		i = 1
	}
	line := &j.open[i]
	line.time, line.some = entry.Time, true
	line.text = append(line.text, entry.Text[:min(len(entry.Text), runtime.MaxLogLine-len(line.text))]...)
	return !entry.Ends || j.end(i)
}

// end calls each with an open line and begins another.
func (j *Joiner) end(i int) bool {
	text := strings.ToValidUTF8(string(bytes.TrimRight(j.open[i].text, "\r")), "\uFFFD")
	line := runtime.LogLine{Time: j.open[i].time, Stream: [2]string{"stdout", "stderr"}[i], Text: text}
	j.open[i] = openLine{text: j.open[i].text[:0]}
	j.done = !j.each(line)
	return !j.done
}

// Flush ends the lines that are still open.
func (j *Joiner) Flush() {
	for i := range j.open {
		if j.open[i].some && !j.done {
			j.end(i)
		}
	}
}
