package job

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/workflows/reads"
)

// line is one line of mcp job logs --json.
type line struct {
	Time   time.Time `json:"time,omitzero"`
	Run    int       `json:"run"`
	Stream string    `json:"stream"`
	Line   string    `json:"line"`
}

// printer prints the output of a run.
type printer struct {
	session *session.Session
	// out gets what the program prints on its standard output, err what it prints on its
	// standard error.
	out, err io.Writer
	run      int
	// shown counts the lines that were printed, by attempt.
	shown map[int]int
}

// print prints a line. If it cannot, ui.Output records why.
func (p *printer) print(l reads.LogLine, text string) {
	out := p.out
	if l.Stream == "stderr" {
		out = p.err
	}
	if p.session.JSON && out == p.session.Stdout {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(line{l.Time, p.run, l.Stream, text}) // a failed write is recorded
		return
	}
	_, _ = fmt.Fprintln(out, text)
}
