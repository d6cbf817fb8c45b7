package change

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

func newCancel(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel SERVICE",
		Short: "Stop the deploy that is under way, and put back what ran before",
		Long: `Cancel ends the build, push, pull or health wait of a deploy, and puts back what
the deploy has changed. It returns when that is done. From the cut-over on a
deploy only goes forward: a later cancel changes nothing, and reports that.`,
		Example: "  mcp cancel shop",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return runCancel(cmd.Context(), s, args[0]) },
	}
}

func runCancel(ctx context.Context, s *session.Session, service string) error {
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	id := workflows.DeployID(service)
	described, err := c.DescribeWorkflow(ctx, id, "")
	var unknown *serviceerror.NotFound
	switch {
	case errors.As(err, &unknown) || err == nil && described.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return fault.New(fault.NotFound, "%s is not being deployed: there is nothing to cancel", service)
	case err != nil:
		return exit.Temporal(err)
	}
	run := c.GetWorkflow(ctx, id, described.WorkflowExecution.RunID)
	if err := c.CancelWorkflow(ctx, id, run.GetRunID()); err != nil {
		return exit.Temporal(err)
	}
	var result workflows.Result
	if err := s.Follow(c).Run(ctx, run, &result); err != nil {
		return err
	}
	if result.Outcome != workflows.Cancelled {
		if result.Error == nil {
			s.Say("the cancel came too late")
		}
		return showResult(s, result)
	}
	result.Error = nil // the cancel is no failure of this command
	if err := showResult(s, result); err != nil || !result.Dirty {
		return err
	}
	return exit.Dirty
}
