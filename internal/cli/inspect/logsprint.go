package inspect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/workflows/reads"
)

// logLine is one line of mcp logs --json.
type logLine struct {
	Time      time.Time `json:"time"`
	Service   string    `json:"service"`
	Node      string    `json:"node"`
	Component string    `json:"component"`
	Container string    `json:"container"`
	Stream    string    `json:"stream"`
	Line      string    `json:"line"`
}

// logPrinter prints lines; its methods must not be called concurrently.
type logPrinter struct {
	console    *ui.Console
	timestamps bool
	// services reports whether there are several services, with which each line
	// then begins.
	services bool
	// width is that of the components' names; 0 if there is only one.
	width int
}

func newLogPrinter(console *ui.Console, timestamps bool, logs []reads.ComponentLogs) *logPrinter {
	p := &logPrinter{console: console, timestamps: timestamps}
	for _, l := range logs {
		p.add("", l.Component, len(logs))
	}
	return p
}

// add makes room for the name of a component, one of several.
func (p *logPrinter) add(service, component string, of int) {
	if of > 1 {
		p.width = max(p.width, len(p.name(service, component)))
	}
}

func (p *logPrinter) name(service, component string) string {
	if p.services {
		return service + "/" + component
	}
	return component
}

// print prints the lines of several components in the order of their times. It
// reports whether it could; ui.Output records why not.
func (p *logPrinter) print(service string, logs []reads.ComponentLogs) bool {
	return p.printLines(linesOf(service, logs))
}

// printLines is print for lines of several services.
func (p *logPrinter) printLines(lines []logLine) bool {
	slices.SortStableFunc(lines, func(a, b logLine) int { return a.Time.Compare(b.Time) })
	for _, line := range lines {
		if err := p.write(line); err != nil {
			return false
		}
	}
	return true
}

func linesOf(service string, logs []reads.ComponentLogs) (lines []logLine) {
	for _, l := range logs {
		for _, line := range l.Lines {
			lines = append(lines, logLine{line.Time, service, l.Node, l.Component, cmp.Or(line.Container, l.Container), line.Stream, line.Text})
		}
	}
	return lines
}

func (p *logPrinter) write(line logLine) error {
	if p.console.JSON {
		out := json.NewEncoder(p.console.Stdout)
		out.SetEscapeHTML(false)
		return out.Encode(line)
	}
	text := line.Line + "\n"
	if p.timestamps {
		text = line.Time.Local().Format("2006-01-02T15:04:05.000Z07:00") + " " + text
	}
	if p.width > 0 {
		text = fmt.Sprintf("%-*s | %s", p.width, p.name(line.Service, line.Component), text)
	}
	_, err := p.console.Stdout.Write([]byte(text))
	return err
}

type logsOptions struct {
	follow     bool
	lines      int
	since      time.Duration
	timestamps bool
	edge       bool
}
