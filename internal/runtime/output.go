package runtime

import "time"

// LogLine is a line of a container's output.
type LogLine struct {
	// Time is when the engine read the end of the line, by the clock of its
	// host and with the engine's precision. Podman 4.3 records whole seconds, so
	// lines may share a time.
	Time time.Time `json:"time"`
	// Stream is "stdout" or "stderr".
	Stream string `json:"stream"`
	// Text is the line without its line break, cut to MaxLogLine bytes.
	Text string `json:"line"`
}

// MaxLogLine is the number of bytes of a line that are kept: a program may print
// without limit and never end a line.
const MaxLogLine = 16 << 10

// LogQuery selects lines of a container's output. Of the lines that share a
// time it selects all or none.
type LogQuery struct {
	// Tail is the least number of lines to select from the end; 0 selects all.
	Tail int
	// Since omits lines with an earlier time; the zero time omits none.
	Since time.Time
	// Follow waits for new lines.
	Follow bool
}

// ExecResult is the result of a command in a container.
type ExecResult struct {
	ExitCode int `json:"exit_code"`
	// Stdout and Stderr are the beginnings of the command's output, which need
	// not be text.
	Stdout []byte `json:"stdout"`
	Stderr []byte `json:"stderr"`
	// Truncated reports whether the command printed more than MaxExecOutput on
	// either stream.
	Truncated bool `json:"truncated"`
}

// MaxExecOutput is the number of bytes of each output stream that are kept.
const MaxExecOutput = 256 << 10

// Print appends output of the command on one of its streams.
func (r *ExecResult) Print(stderr bool, text []byte) {
	kept := &r.Stdout
	if stderr {
		kept = &r.Stderr
	}
	room := MaxExecOutput - len(*kept)
	r.Truncated = r.Truncated || len(text) > room
	*kept = append(*kept, text[:min(len(text), room)]...)
}

// Output returns the output that was kept, that of both streams.
func (r ExecResult) Output() string { return string(r.Stdout) + string(r.Stderr) }
