package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

// accessSlack is how much earlier than the newest line seen a follow reads again: a line
// has the time of the edge's clock, and a request may be logged after one that ended
// later.
const accessSlack = 10 * time.Second

// accessLine is one line of mcp logs --edge --json.
type accessLine struct {
	Edge string `json:"edge"`
	fleet.Access
}

func runAccessLog(ctx context.Context, s *session.Session, service string, o logsOptions) error {
	cfg, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	link, err := s.Link(ctx, cfg)
	if err != nil {
		return err
	}
	var from accessSource = askedEdges{s, c}
	if link != nil {
		defer link.Close()
		from = &streamedEdges{ask: askedEdges{s, c}, call: link.Call}
	}
	a := &accessLog{session: s, from: from, seen: map[string]map[string]time.Time{}, reported: map[string]string{}, timestamps: o.timestamps}
	failed, err := a.read(ctx, reads.AccessLogInput{Service: service, Tail: o.lines, Since: o.since})
	switch {
	case errors.Is(err, errClosed):
		return nil
	case err != nil:
		return usageIfUnknown(err)
	case o.follow:
		return a.follow(ctx, service)
	case failed:
		return exit.Failed
	}
	return nil
}

// accessLog prints the access log of a service, from several edges.
type accessLog struct {
	session    *session.Session
	from       accessSource
	timestamps bool
	// seen are the newest lines of each edge, with their times; a follow reads them
	// again, and prints them once.
	seen map[string]map[string]time.Time
	// newest is the time of the newest line of any edge.
	newest time.Time
	// reported has the reason, as printed, why an edge cannot be read, by edge.
	reported map[string]string
	// width is that of the edges' names; 0 if there is only one.
	width int
}

// read prints the lines that are new. It reports whether an edge could not be read.
func (a *accessLog) read(ctx context.Context, in reads.AccessLogInput) (failed bool, err error) {
	result, err := a.from.read(ctx, in)
	if err != nil {
		return false, err
	}
	var lines []accessLine
	for _, e := range result.Edges {
		if len(result.Edges) > 1 {
			a.width = max(a.width, len(e.Edge))
		}
		failed = a.report(e) || failed
		lines = append(lines, a.fresh(e)...)
	}
	slices.SortStableFunc(lines, func(x, y accessLine) int { return x.Time.Compare(y.Time) })
	for _, line := range lines {
		if err := a.write(line); err != nil {
			return failed, errClosed
		}
	}
	return failed, nil
}

// errClosed means that nothing can be written any more; ui.Output records why.
var errClosed = errors.New("the reader has gone")

// fresh returns the lines of an edge that were not there before. A line that is not an
// entry of a log is a text of the edge that an operator may read.
func (a *accessLog) fresh(e reads.EdgeAccessLog) []accessLine {
	var lines []accessLine
	known, now := a.seen[e.Edge], map[string]time.Time{}
	for _, text := range e.Lines {
		line := accessLine{Edge: e.Edge}
		if json.Unmarshal([]byte(text), &line.Access) != nil {
			line.Access = fleet.Access{Error: text}
		}
		now[text] = line.Time
		if _, old := known[text]; !old {
			lines = append(lines, line)
		}
		if line.Time.After(a.newest) {
			a.newest = line.Time
		}
	}
	if e.Error == nil {
		a.seen[e.Edge] = now
	}
	return lines
}

// report prints once that an edge cannot be read, and once that it can again. It reports
// whether it cannot.
func (a *accessLog) report(e reads.EdgeAccessLog) bool {
	reason := ""
	if e.Error != nil {
		reason = e.Error.Message
	}
	switch reason {
	case a.reported[e.Edge]:
	case "":
		a.session.Say("edge %s: it answers again", e.Edge)
	default:
		a.session.Say("edge %s: %s", e.Edge, ui.FirstLine(reason))
	}
	a.reported[e.Edge] = reason
	return reason != ""
}

// follow prints new lines until ctx ends or the reader has gone.
func (a *accessLog) follow(ctx context.Context, service string) error {
	following, end := context.WithCancel(ctx)
	defer end()
	go func() {
		untilReaderGone(following, a.session.Stdout)
		end()
	}()
	began := time.Now()
	for pause(following, followPause) == nil {
		// Without a line yet, those of the follow itself are wanted.
		since := time.Since(began) + accessSlack
		if !a.newest.IsZero() {
			since = max(time.Since(a.newest), 0) + accessSlack
		}
		_, err := a.read(following, reads.AccessLogInput{Service: service, Tail: reads.MaxLogLines, Since: since})
		switch {
		case following.Err() != nil, errors.Is(err, errClosed):
			return exit.IfInterrupted(ctx)
		case err != nil:
			return err
		}
	}
	return exit.IfInterrupted(ctx)
}

func (a *accessLog) write(line accessLine) error {
	if a.session.JSON {
		out := json.NewEncoder(a.session.Stdout)
		out.SetEscapeHTML(false)
		return out.Encode(line)
	}
	text := accessText(line.Access)
	if !line.Time.IsZero() {
		text = line.Time.Local().Format(a.layout()) + " " + text
	}
	if a.width > 0 {
		text = fmt.Sprintf("%-*s | %s", a.width, line.Edge, text)
	}
	_, err := a.session.Stdout.Write([]byte(text + "\n"))
	return err
}

// layout returns how a time is printed: with -t as mcp logs prints it.
func (a *accessLog) layout() string {
	if a.timestamps {
		return "2006-01-02T15:04:05.000Z07:00"
	}
	return time.DateTime
}

// accessText renders a request:
// "10.0.0.7 GET shop.example/cart 200 512B 12ms from 127.0.0.1:23456".
func accessText(l fleet.Access) string {
	var words []string
	for _, word := range []string{l.Client, l.Method, l.Host + l.Path, statusText(l), sizeText(l), durationText(l.DurationMS)} {
		if word != "" {
			words = append(words, word)
		}
	}
	text := strings.Join(words, " ")
	if l.Upstream != "" {
		text += " from " + l.Upstream
	}
	if l.Error != "" {
		text = strings.TrimSpace(text + " " + ui.FirstLine(l.Error))
	}
	return text
}

// statusText returns the status of a request or, if there is none, what was served.
func statusText(l fleet.Access) string {
	switch {
	case l.Status != 0:
		return fmt.Sprint(l.Status)
	case l.Method == "":
		return strings.TrimSpace(l.Protocol + " " + l.Endpoint)
	}
	return "-"
}

func sizeText(l fleet.Access) string {
	switch {
	case l.Protocol == "":
		return ""
	case l.Received > 0:
		return fmt.Sprintf("%dB in, %dB", l.Received, l.Sent)
	}
	return fmt.Sprintf("%dB", l.Sent)
}

func durationText(ms float64) string {
	if ms == 0 {
		return ""
	}
	return time.Duration(ms * float64(time.Millisecond)).Round(100 * time.Microsecond).String()
}
