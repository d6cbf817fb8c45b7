package inspect

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows/reads"
)

func newLogs(s *session.Session) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs SERVICE[/PART]…",
		Short: "Show what the containers of a service have printed",
		Long: `Logs shows the last lines that the containers of a service, or of one component
of it, have printed on their standard output and error, oldest first. Where
there are several components, each line begins with its own. Of a step or a job
it shows what the last run has printed, also of a deployment that has failed.

With --follow it continues with new lines until Ctrl-C: those of a container that
is to replace another, even if that fails, those of one that goes, to its last,
and after the absence of a node. With --json each line is an
object on a separate line.

With --edge it shows the access log of the edges instead: each request for the
service, with its status, its duration and the container that answered, and where
there are several edges the name of the one that has served it. --follow then
asks every two seconds.

Through a gateway the lines are streams of the nodes or, with --edge, of the
edges; also those of several services, with which each line begins then. A
follow says which containers begin and end, and which components deploys add,
move and remove. Where a gateway or a node breaks off, it goes on after the last
line, and ends with exit code 5 where lines are lost meanwhile. Without a gateway
they pass through Temporal, which retains them like any workflow.

Times are those of the node; podman before 4.4 gives whole seconds.`,
		Example: "  mcp logs shop\n  mcp logs shop/api -f -n 10\n  mcp logs shop --since 1h | grep error\n  mcp logs shop/migrate\n  mcp logs --edge shop -f\n  mcp logs shop blog/web -f",
		Args:    session.Args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.since < 0:
				return exit.Usage(fmt.Errorf("--since must be a positive duration, such as 1h, not %s", o.since))
			case o.lines < 0 || o.lines > reads.MaxLogLines:
				return exit.Usage(fmt.Errorf("--lines must be between 0 and %d, not %d", reads.MaxLogLines, o.lines))
			case o.edge && strings.Contains(args[0], "/"):
				return exit.Usage(fmt.Errorf("the access log is that of a whole service: mcp logs --edge %s", serviceOf(args[0])))
			case o.edge && len(args) > 1:
				return exit.Usage(fmt.Errorf("the access log is that of one service: mcp logs --edge %s", serviceOf(args[0])))
			case o.since > 0 && !cmd.Flags().Changed("lines"):
				o.lines = reads.MaxLogLines
			}
			if o.edge {
				return runAccessLog(cmd.Context(), s, args[0], o)
			}
			return runLogs(cmd.Context(), s, args, o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.follow, "follow", "f", false, "continue with new lines, until Ctrl-C")
	flags.BoolVar(&o.edge, "edge", false, "show the requests that the edges have served, instead of what containers print")
	flags.IntVarP(&o.lines, "lines", "n", 100, "how many of the last lines of each component, or, with --since, at most how many")
	flags.DurationVar(&o.since, "since", 0, "how far back to read, such as 10m")
	flags.BoolVarP(&o.timestamps, "timestamps", "t", false, "begin each line with its time")
	return cmd
}

func runLogs(ctx context.Context, s *session.Session, targets []string, o logsOptions) error {
	service, component, _ := strings.Cut(targets[0], "/")
	in := reads.LogsInput{Service: service, Component: component, Lines: o.lines, Since: o.since}
	cfg, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	link, err := s.Link(ctx, cfg)
	if err != nil {
		return err
	}
	if link != nil {
		defer link.Close()
		return streamLogs(ctx, s, connected{s, c, link}, targets, o)
	}
	if len(targets) > 1 {
		return exit.Usage(fault.New(fault.Invalid, "the output of several services goes through a gateway, and this configuration has none").
			WithHint("ask for one: mcp logs %s", targets[0]))
	}
	var first reads.LogsResult
	if err := s.Read(ctx, c, "logs", reads.LogsName, in, &first); err != nil {
		return usageIfUnknown(err)
	}
	if first.Run != nil {
		return showRun(s, in, first, o)
	}
	show := newLogPrinter(&s.Console, o.timestamps, first.Logs)
	if !show.print(service, first.Logs) {
		return nil
	}
	failed := false
	for _, l := range first.Logs {
		if f := unreadable(service, l); f != nil && !o.follow {
			failed = true
			s.Fault(f)
		}
		if l.Cut {
			s.Say("%s: its first lines are left out: one answer is limited to 1 MB", l.Component)
		}
	}
	if o.follow {
		return followLogs(ctx, s, c, in, first.Logs, show)
	}
	if failed {
		return exit.Failed
	}
	return nil
}

// serviceOf returns the service of "SERVICE/COMPONENT".
func serviceOf(target string) string {
	service, _, _ := strings.Cut(target, "/")
	return service
}
