package job

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

// follower shows the output of a run that is under way.
type follower struct {
	output
	in   reads.JobLogsInput
	show *printer
	last fleet.JobRun
}

// againPause is the time between two reads of a run that has not been started yet, or
// whose output cannot be read at the moment.
const againPause = 500 * time.Millisecond

// rest shows what the attempts of a run that has ended have printed and was not shown
// yet.
func (f *follower) rest(ctx context.Context) error {
	in := f.in
	in.Lines = reads.MaxLogLines
	for in.Attempt = 1; ; in.Attempt++ {
		got, err := f.read(ctx, in)
		if err != nil {
			return err
		}
		f.last = got.Run
		f.showRest(got)
		if in.Attempt >= min(got.Run.Attempts, mostAttempts) {
			return nil
		}
	}
}

// showRest shows the lines of an attempt that were not shown yet.
func (f *follower) showRest(got reads.JobLogsResult) {
	lines, total := got.Lines, len(got.Lines)
	if got.Attempt == got.Run.Attempts {
		total = max(total, got.Run.Lines)
		if got.Absent {
			for _, text := range got.Run.Log {
				lines = append(lines, reads.LogLine{})
				lines[len(lines)-1].Text = text
			}
		}
	}
	shown, first := f.show.shown[got.Attempt], max(total, len(lines))-len(lines)
	if first > shown {
		f.session.Say("%d lines are left out here: mcp job logs shows the last ones", first-shown)
	}
	for i, l := range lines {
		if first+i >= shown {
			f.show.print(l, l.Text)
			f.show.shown[got.Attempt] = first + i + 1
		}
	}
}

// mostAttempts is the most attempts that a definition allows.
const mostAttempts = 101

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// ended returns the error of a run that has ended: with the exit code of its program,
// if that has one.
func ended(s *session.Session, run fleet.JobRun) error {
	if run.Outcome == fleet.RunSucceeded {
		return nil
	}
	kind := fault.Unhealthy
	if run.Outcome == fleet.RunMissed {
		kind = fault.Unavailable
	}
	f := fault.New(kind, "run %d of %s %s: %s", run.Number, run.Name(), run.Outcome, run.Detail)
	f.Node, f.Component = run.Node, run.Job
	if run.Outcome == fleet.RunFailed && run.ExitCode > 0 {
		s.Fault(f)
		return exit.Code(run.ExitCode)
	}
	return f
}
