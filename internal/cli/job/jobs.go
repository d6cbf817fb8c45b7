package job

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/reads"
)

// listed is a job as mcp jobs --json prints it.
type listed struct {
	Service  string `json:"service"`
	Job      string `json:"job"`
	Node     string `json:"node"`
	Schedule string `json:"schedule"`
	Timezone string `json:"timezone"`
	// State is "active", "paused" or "stopped"; a job that runs only by hand is "manual".
	State    string    `json:"state"`
	PausedBy string    `json:"paused_by,omitempty"`
	Paused   time.Time `json:"paused,omitzero"`
	// Next is when it is due next; zero while it is not.
	Next    time.Time     `json:"next,omitzero"`
	Running *fleet.JobRun `json:"running,omitempty"`
	Last    *fleet.JobRun `json:"last,omitempty"`
	// Succeeded is when the last run that has succeeded ended.
	Succeeded time.Time `json:"succeeded,omitzero"`
}

func newJobs(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "jobs [SERVICE…]",
		Short: "List the jobs of services: when they run next, and how they ended last",
		Long: `Jobs lists the jobs of all services, or of some: the components that have a
schedule. It shows when each is due next, in the local time zone, how its last run
ended, and the run that is under way.`,
		Example: "  mcp jobs\n  mcp jobs shop --json",
		Args:    session.Args(cobra.ArbitraryArgs),
		RunE:    func(cmd *cobra.Command, names []string) error { return runJobs(cmd.Context(), s, names) },
	}
}

func runJobs(ctx context.Context, s *session.Session, names []string) error {
	var states []fleet.JobState
	if err := s.Query(ctx, "jobs", reads.JobsName, reads.JobsInput{Services: names}, &states); err != nil {
		return err
	}
	list := []listed{}
	for _, state := range states {
		list = append(list, listedOf(state, time.Now()))
	}
	switch {
	case s.JSON:
		s.PrintJSON(list)
	case len(list) == 0 && len(names) == 0:
		_, _ = fmt.Fprintln(s.Stdout, "no jobs: a component with a schedule is one")
	case len(list) == 0:
		return exit.Usage(fault.New(fault.NotFound, "no job is deployed of %s", ui.Counted(len(names), "service")).
			WithHint("list all: mcp jobs; and see what is deployed: mcp status"))
	default:
		writeJobs(s, list)
	}
	return nil
}

func listedOf(state fleet.JobState, now time.Time) listed {
	l := listed{
		Service: state.Service, Job: state.Job.Name, Node: state.Job.Node, Schedule: state.Job.Schedule, Timezone: state.Job.ZoneName(),
		State: "active", PausedBy: state.PausedBy, Paused: state.Paused, Next: state.Next(now),
		Running: state.Running, Last: state.Last, Succeeded: state.Succeeded,
	}
	switch {
	case !state.Active:
		l.State = "stopped"
	case !state.Paused.IsZero():
		l.State = "paused"
	case l.Schedule == servicedef.Manual:
		l.State = "manual"
	}
	return l
}

func writeJobs(s *session.Session, list []listed) {
	table := ui.Table(s.Stdout)
	_, _ = fmt.Fprintln(table, "JOB\tNODE\tSCHEDULE\tNEXT\tLAST RUN\tRUNNING")
	for _, l := range list {
		next := ui.Moment(l.Next)
		if l.State != "active" {
			next = l.State
		}
		schedule := l.Schedule
		if l.Timezone != "UTC" {
			schedule += " " + l.Timezone
		}
		_, _ = fmt.Fprintf(table, "%s/%s\t%s\t%s\t%s\t%s\t%s\n", l.Service, l.Job, l.Node, schedule, next, lastOf(l.Last), runningOf(l.Running))
	}
	_ = table.Flush()
}

// lastOf describes the last run: "succeeded 2026-03-01 03:00:12".
func lastOf(run *fleet.JobRun) string {
	if run == nil {
		return "-"
	}
	return fmt.Sprintf("%s %s", run.Outcome, ui.Moment(run.Ended))
}

func runningOf(run *fleet.JobRun) string {
	if run == nil {
		return "-"
	}
	return fmt.Sprintf("run %d, since %s", run.Number, ui.Moment(run.Started))
}
