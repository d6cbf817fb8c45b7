package job

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

// cancelled is mcp job cancel --json.
type cancelled struct {
	Service string `json:"service"`
	Job     string `json:"job"`
	Run     int    `json:"run"`
}

func newCancel(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel SERVICE/JOB",
		Short: "End the run of a job that is under way",
		Long: `Cancel ends the run of a job that is under way: its container gets the stop
signal, and is killed after its stop timeout. It waits for that. The run is not
tried again, and the schedule goes on.`,
		Example: "  mcp job cancel shop/backup",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return runCancel(cmd.Context(), s, args[0]) },
	}
}

func runCancel(ctx context.Context, s *session.Session, name string) error {
	of, err := parse(name)
	if err != nil {
		return err
	}
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var runs []fleet.JobRun
	if err := s.Read(ctx, c, "job cancel", reads.JobRunsName, reads.JobRunsInput{Service: of.service, Job: of.job}, &runs); err != nil {
		return usageIfUnknown(err)
	}
	for _, run := range runs {
		if run.Outcome != "" {
			continue
		}
		if err := c.CancelWorkflow(ctx, run.WorkflowID, run.RunID); err != nil {
			return exit.Temporal(err)
		}
		_ = c.GetWorkflow(ctx, run.WorkflowID, run.RunID).Get(ctx, nil) // its error is that it was cancelled
		if err := exit.IfInterrupted(ctx); err != nil {
			return err
		}
		if s.JSON {
			s.PrintJSON(cancelled{of.service, of.job, run.Number})
		} else {
			_, _ = fmt.Fprintf(s.Stdout, "run %d of %s has ended\n", run.Number, of)
		}
		return nil
	}
	return exit.Usage(fault.New(fault.NotFound, "no run of %s is under way", of).WithHint("list its runs: mcp job history %s", of))
}
