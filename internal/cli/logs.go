package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/workflows"
)

type logsOptions struct {
	follow     bool
	lines      int
	since      time.Duration
	timestamps bool
}

func newLogs(a *App) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs SERVICE[/COMPONENT]",
		Short: "Show what the containers of a service have printed",
		Long: `Logs shows the last lines that the containers of a service, or of one component
of it, have printed on their standard output and error, oldest first. Where
there are several components, each line begins with its own.

With --follow it goes on as lines come, until Ctrl-C: into the container that a
deploy puts in the place of another, and over the absence of a node. With --json
each line is an object on a line of its own.

Times are those of the node; podman before 4.4 tells whole seconds. What is shown
passes through Temporal, which keeps it for as long as it keeps any workflow.`,
		Example: "  mcp logs shop\n  mcp logs shop/api -f -n 10\n  mcp logs shop --since 1h | grep error",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.since < 0:
				return usageError{fmt.Errorf("--since is a time that has passed, such as 1h, not %s", o.since)}
			case o.lines < 0 || o.lines > workflows.MaxLogLines:
				return usageError{fmt.Errorf("--lines must be between 0 and %d, not %d", workflows.MaxLogLines, o.lines)}
			case o.since > 0 && !cmd.Flags().Changed("lines"):
				o.lines = workflows.MaxLogLines
			}
			return a.logs(cmd.Context(), args[0], o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.follow, "follow", "f", false, "go on as lines come, until Ctrl-C")
	flags.IntVarP(&o.lines, "lines", "n", 100, "how many of the last lines of each component, or, with --since, at most how many")
	flags.DurationVar(&o.since, "since", 0, "how far back to look, such as 10m")
	flags.BoolVarP(&o.timestamps, "timestamps", "t", false, "begin each line with its time")
	return cmd
}

func (a *App) logs(ctx context.Context, target string, o logsOptions) error {
	service, component, _ := strings.Cut(target, "/")
	in := workflows.LogsInput{Service: service, Component: component, Lines: o.lines, Since: o.since}
	_, c, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var first workflows.LogsResult
	if err := a.read(ctx, c, "logs", workflows.LogsName, in, &first); err != nil {
		return usageIfUnknown(err)
	}
	show := newLogPrinter(a, o, first.Logs)
	if !show.print(first.Logs) {
		return nil
	}
	failed := false
	for _, l := range first.Logs {
		if f := unreadable(service, l); f != nil && !o.follow {
			failed = true
			writeFault(a.Stderr, f)
		}
		if l.Cut {
			a.say("%s: its first lines are left out: an answer holds no more", l.Component)
		}
	}
	if o.follow {
		return a.followLogs(ctx, c, in, first.Logs, show)
	}
	if failed {
		return exitError(exitFailed)
	}
	return nil
}

// unreadable says why there are no lines of a component; nil if it could be
// read.
func unreadable(service string, l workflows.ComponentLogs) *fault.Error {
	if l.Error != nil {
		f := *l.Error
		f.Component = l.Component
		return &f
	}
	if l.Absent {
		f := fault.New(fault.NotFound, "there is no container %s", l.Container).WithHint("look what should run: mcp status %s", service)
		f.Node, f.Component = l.Node, l.Component
		return f
	}
	return nil
}

// usageIfUnknown makes it a mistake in the command line that a service or a
// component is not there.
func usageIfUnknown(err error) error {
	if _, ended := asExit(err); !ended && fault.Is(err, fault.NotFound) {
		return usageError{err}
	}
	return err
}

// logLine is one line of mcp logs --json.
type logLine struct {
	Time      time.Time `json:"time"`
	Node      string    `json:"node"`
	Component string    `json:"component"`
	Container string    `json:"container"`
	Stream    string    `json:"stream"`
	Line      string    `json:"line"`
}

// logPrinter shows lines; it is used by one at a time.
type logPrinter struct {
	app        *App
	timestamps bool
	// width is that of the components' names; 0 where there is only one.
	width int
}

func newLogPrinter(a *App, o logsOptions, logs []workflows.ComponentLogs) *logPrinter {
	p := &logPrinter{app: a, timestamps: o.timestamps}
	for _, l := range logs {
		p.add(l.Component, len(logs))
	}
	return p
}

// add makes room for the name of a component, one of so many.
func (p *logPrinter) add(component string, of int) {
	if of > 1 {
		p.width = max(p.width, len(component))
	}
}

// print shows the lines of several components by their times. It reports
// whether it could; whose fault it is that it could not, output knows.
func (p *logPrinter) print(logs []workflows.ComponentLogs) bool {
	var lines []logLine
	for _, l := range logs {
		for _, line := range l.Lines {
			lines = append(lines, p.line(l, line))
		}
	}
	slices.SortStableFunc(lines, func(a, b logLine) int { return a.Time.Compare(b.Time) })
	for _, line := range lines {
		if err := p.write(line); err != nil {
			return false
		}
	}
	return true
}

func (p *logPrinter) line(l workflows.ComponentLogs, line runtime.LogLine) logLine {
	return logLine{line.Time, l.Node, l.Component, l.Container, line.Stream, line.Text}
}

func (p *logPrinter) write(line logLine) error {
	if p.app.json {
		out := json.NewEncoder(p.app.Stdout)
		out.SetEscapeHTML(false)
		return out.Encode(line)
	}
	text := line.Line + "\n"
	if p.timestamps {
		text = line.Time.Local().Format("2006-01-02T15:04:05.000Z07:00") + " " + text
	}
	if p.width > 0 {
		text = fmt.Sprintf("%-*s | %s", p.width, line.Component, text)
	}
	_, err := p.app.Stdout.Write([]byte(text))
	return err
}
