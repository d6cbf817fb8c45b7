package runtime

import (
	"context"
	"strings"
	"time"
)

// LogMark is a position in a log: after the first Lines lines of Time. The zero
// mark is the beginning.
type LogMark struct {
	Time  time.Time `json:"time,omitzero"`
	Lines int       `json:"lines,omitempty"`
}

// Pass moves the mark past the next line.
func (m *LogMark) Pass(line LogLine) {
	if !line.Time.Equal(m.Time) {
		*m = LogMark{Time: line.Time}
	}
	m.Lines++
}

// Read calls each with the lines after the mark, as Logs does.
func (m LogMark) Read(ctx context.Context, engine Runtime, name string, follow bool, each func(LogLine) bool) error {
	return engine.Logs(ctx, name, LogQuery{Since: m.Time, Follow: follow}, m.After(func(line LogLine, _ bool) bool { return each(line) }))
}

// After returns a function for the lines since m.Time that calls each with those after the
// mark. Lost is set while the log has none of the lines that were before the mark: it has
// begun again, perhaps with lines in between.
func (m LogMark) After(each func(line LogLine, lost bool) bool) func(LogLine) bool {
	skip := m.Lines
	return func(line LogLine) bool {
		if skip > 0 && line.Time.Equal(m.Time) {
			skip--
			return true
		}
		return each(line, m.Lines > 0 && skip == m.Lines)
	}
}

// Before reports whether a mark is before another one of the same log.
func (m LogMark) Before(other LogMark) bool {
	return m.Time.Before(other.Time) || m.Time.Equal(other.Time) && m.Lines < other.Lines
}

// LastLines returns the last lines of a container's output, oldest first, each
// cut to the given number of bytes.
func LastLines(ctx context.Context, engine Runtime, name string, lines, bytes int) ([]string, error) {
	var last []string
	err := engine.Logs(ctx, name, LogQuery{Tail: lines}, func(line LogLine) bool {
		last = append(last, strings.ToValidUTF8(line.Text[:min(len(line.Text), bytes)], ""))
		last = last[max(0, len(last)-lines):]
		return true
	})
	return last, err
}
