package job

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

func newHistory(s *session.Session) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "history SERVICE/JOB",
		Short: "List the last runs of a job, the newest first",
		Long: `History lists the last runs of a job, the newest first: those that its schedule
started, and those of mcp run. As many are kept as the job's keep has it.`,
		Example: "  mcp job history shop/backup",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return runHistory(cmd.Context(), s, args[0], limit) },
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "how many of the newest to list; 0 for all")
	return cmd
}

func runHistory(ctx context.Context, s *session.Session, name string, limit int) error {
	of, err := parse(name)
	if err != nil {
		return err
	}
	runs := []fleet.JobRun{}
	in := reads.JobRunsInput{Service: of.service, Job: of.job, Limit: limit}
	if err := s.Query(ctx, "job history", reads.JobRunsName, in, &runs); err != nil {
		return usageIfUnknown(err)
	}
	switch {
	case s.JSON:
		s.PrintJSON(runs)
	case len(runs) == 0:
		_, _ = fmt.Fprintf(s.Stdout, "%s has never run\n", of)
	default:
		writeRuns(s, runs)
	}
	return nil
}

func writeRuns(s *session.Session, runs []fleet.JobRun) {
	table := ui.Table(s.Stdout)
	_, _ = fmt.Fprintln(table, "RUN\tOUTCOME\tSTARTED\tTOOK\tATTEMPTS\tRELEASE\tASKED BY\tEND")
	for _, r := range runs {
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", r.Number, r.State(), ui.Moment(r.Started), took(r),
			attemptsOf(r), r.Release, cmp.Or(r.Who, "schedule"), ui.FirstLine(r.Detail))
	}
	_ = table.Flush()
}

// took is how long a run took; "" while it is under way, and of one that was not started.
func took(r fleet.JobRun) string {
	if r.Ended.IsZero() || r.Attempts == 0 {
		return ""
	}
	return max(0, r.Ended.Sub(r.Started)).Round(10 * time.Millisecond).String()
}

func attemptsOf(r fleet.JobRun) string {
	if r.Attempts == 0 {
		return ""
	}
	return strconv.Itoa(r.Attempts)
}
