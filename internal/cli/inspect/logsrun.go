package inspect

import (
	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

// showRun shows the output of the last run of a step or of a job.
func showRun(s *session.Session, in reads.LogsInput, found reads.LogsResult, o logsOptions) error {
	if o.follow {
		return unfollowed(in, found.Run.Kind)
	}
	s.Say("%s", found.Run.Summary(in.Service, in.Component))
	show := newLogPrinter(&s.Console, o.timestamps && !found.Run.Recorded, found.Logs)
	if !show.print(in.Service, found.Logs) {
		return nil
	}
	for _, l := range found.Logs {
		if l.Cut {
			s.Say("the first lines are left out: one answer is limited to 1 MB")
		}
		if f := unreadable(in.Service, l); f != nil {
			s.Fault(f)
			return exit.Failed
		}
	}
	return nil
}

// unfollowed returns the error of a follow of something whose runs end.
func unfollowed(in reads.LogsInput, kind fleet.TaskKind) error {
	name := in.Service + "/" + in.Component
	if kind == fleet.JobTask {
		return exit.Usage(fault.New(fault.Invalid, "%s is a job, whose runs end", name).WithHint("follow its newest run: mcp job logs -f %s", name))
	}
	return exit.Usage(fault.New(fault.Invalid, "%s is a step, which a deploy runs to its end", name).
		WithHint("the deploy shows its output while it runs; later: mcp logs %s", name))
}
