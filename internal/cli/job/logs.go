package job

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/workflows/reads"
)

type logsOptions struct {
	follow bool
	lines  int
}

func newLogs(s *session.Session) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs SERVICE/JOB [RUN]",
		Short: "Show what a run of a job has printed",
		Long: `Logs shows the last lines that the newest run of a job has printed, or the run
with that number, as mcp job history lists them. The whole output of a run, up to
its last 1 MiB, is kept on its node, and the last lines of it in mcp's registry,
which are shown where the node does not answer. Through a gateway the output is a
stream of the node, otherwise it passes through Temporal.

With --follow it shows the whole output of a run that is under way, and continues
until the run ends, or Ctrl-C, which leaves the run alone.`,
		Example: "  mcp job logs shop/backup\n  mcp job logs shop/backup 12 -n 1000\n  mcp job logs -f shop/backup",
		Args:    session.Args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			of, err := parse(args[0])
			if err != nil {
				return err
			}
			in := reads.JobLogsInput{Service: of.service, Job: of.job, Lines: o.lines}
			if len(args) == 2 {
				if in.Number, err = strconv.Atoi(args[1]); err != nil || in.Number < 1 {
					return exit.Usage(fmt.Errorf("%q is no run: give a number from mcp job history %s", args[1], of))
				}
			}
			if o.lines < 1 || o.lines > reads.MaxLogLines {
				return exit.Usage(fmt.Errorf("--lines must be between 1 and %d, not %d", reads.MaxLogLines, o.lines))
			}
			return runLogs(cmd.Context(), s, of, in, o.follow)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.follow, "follow", "f", false, "continue with new lines until the run ends, or Ctrl-C")
	flags.IntVarP(&o.lines, "lines", "n", 100, "how many of the last lines")
	return cmd
}

func runLogs(ctx context.Context, s *session.Session, of target, in reads.JobLogsInput, follow bool) error {
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
	}
	from := output{s, c, link}
	first, err := from.read(ctx, in)
	if err != nil {
		return usageIfUnknown(err)
	}
	show := &printer{session: s, out: s.Stdout, err: s.Stdout, run: first.Run.Number, shown: map[int]int{}}
	if follow && first.Run.Outcome == "" {
		in.Number, in.RunID = first.Run.Number, first.Run.RunID
		f := follower{output: from, in: in, show: show}
		f.untilEnd(ctx)
		if err := exit.IfInterrupted(ctx); err != nil {
			return err
		}
		return f.rest(ctx)
	}
	if first.Absent && first.Run.Outcome != "" {
		s.Say("run %d of %s: these are the last lines that were recorded; node %s has no more", first.Run.Number, of, first.Run.Node)
		for _, text := range first.Run.Log {
			show.print(reads.LogLine{}, text)
		}
		return nil
	}
	if first.Cut {
		s.Say("the first lines are left out: one answer is limited to 1 MB")
	}
	for _, l := range first.Lines {
		show.print(l, l.Text)
	}
	return nil
}
