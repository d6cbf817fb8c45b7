package runtime

import (
	"context"
	"strings"
	"time"
)

// LogLine is a line of a container's output.
type LogLine struct {
	// Time is when the engine read its end, by the clock of its host, as exactly
	// as the engine tells it: podman 4.3 tells seconds. So lines may share it.
	Time time.Time `json:"time"`
	// Stream is "stdout" or "stderr".
	Stream string `json:"stream"`
	// Text is the line without its end; at most MaxLogLine bytes of it.
	Text string `json:"line"`
}

// MaxLogLine is how many bytes of a line are kept: a program may print for as
// long as it likes without ending one.
const MaxLogLine = 16 << 10

// LogQuery selects lines of a container's output; of those that share a time,
// all or none.
type LogQuery struct {
	// Tail begins no later than at the n-th line from the end, and maybe before;
	// 0 means at the first.
	Tail int
	// Since leaves out lines of a time before; zero leaves out nothing.
	Since time.Time
	// Follow waits for more.
	Follow bool
}

// LogMark is where a reader is in a log: behind the first Lines lines of Time.
// The zero mark is at the beginning.
type LogMark struct {
	Time  time.Time `json:"time,omitzero"`
	Lines int       `json:"lines,omitempty"`
}

// Pass moves the mark behind a line.
func (m *LogMark) Pass(line LogLine) {
	if !line.Time.Equal(m.Time) {
		*m = LogMark{Time: line.Time}
	}
	m.Lines++
}

// Read gives each the lines behind the mark, as Logs does since its time.
func (m LogMark) Read(ctx context.Context, engine Runtime, name string, follow bool, each func(LogLine) bool) error {
	skip := m.Lines
	return engine.Logs(ctx, name, LogQuery{Since: m.Time, Follow: follow}, func(line LogLine) bool {
		if skip > 0 && line.Time.Equal(m.Time) {
			skip--
			return true
		}
		return each(line)
	})
}

// ExecResult is how a command in a container ended.
type ExecResult struct {
	ExitCode int `json:"exit_code"`
	// Stdout and Stderr are the beginnings of what it printed, which need not be
	// text.
	Stdout []byte `json:"stdout"`
	Stderr []byte `json:"stderr"`
	// Truncated is set where it printed more than MaxExecOutput on either.
	Truncated bool `json:"truncated"`
}

// MaxExecOutput is how many bytes are kept of what a command prints on each of
// its streams.
const MaxExecOutput = 256 << 10

// Print adds what a command has printed on one of its streams.
func (r *ExecResult) Print(stderr bool, text []byte) {
	kept := &r.Stdout
	if stderr {
		kept = &r.Stderr
	}
	room := MaxExecOutput - len(*kept)
	r.Truncated = r.Truncated || len(text) > room
	*kept = append(*kept, text[:min(len(text), room)]...)
}

// Output is all that is kept of what the command printed.
func (r ExecResult) Output() string { return string(r.Stdout) + string(r.Stderr) }

// LastLines are the last lines of a container's output, oldest first, each cut
// to so many bytes.
func LastLines(ctx context.Context, engine Runtime, name string, lines, bytes int) ([]string, error) {
	var last []string
	err := engine.Logs(ctx, name, LogQuery{Tail: lines}, func(line LogLine) bool {
		last = append(last, strings.ToValidUTF8(line.Text[:min(len(line.Text), bytes)], ""))
		last = last[max(0, len(last)-lines):]
		return true
	})
	return last, err
}
