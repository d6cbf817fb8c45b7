package inspect

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/workflows"
)

type planOptions struct{ force, detailed, dirty bool }

func newPlan(s *session.Session) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan SERVICE[/COMPONENT]",
		Short: "Show what a deploy would do, and do nothing",
		Long: `Plan surveys the nodes and the image registry as a deploy would, and shows what a
deploy of the current definition would build, start, replace and stop, and why. It
changes nothing and waits for no deploy.

With --detailed-exitcode a script can distinguish "no change" from "changes".`,
		Example: "  mcp plan shop\n  mcp plan shop/api --detailed-exitcode",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPlan(cmd.Context(), s, args[0], o)
		},
	}
	cmd.Flags().BoolVar(&o.force, "force", false, "plan to replace unchanged containers, too")
	cmd.Flags().BoolVar(&o.dirty, "dirty", false, "tag sources that are not committed by their content ({git} tags)")
	cmd.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit 0 for no change, 2 for changes, 1 for an error")
	return cmd
}

func runPlan(ctx context.Context, s *session.Session, target string, o planOptions) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	dir, err := session.Definitions(cfg)
	if err != nil {
		return err
	}
	in, err := s.DeployTarget(cfg, dir, target)
	if err != nil {
		return err
	}
	in.Force = o.force
	if err := s.ResolveInput(ctx, cfg, &in, o.dirty); err != nil {
		return err
	}
	c, err := s.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	var result workflows.PlanResult
	if err := s.Read(ctx, c, "plan", workflows.PlanName, in, &result); err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(result)
	} else {
		follow.WritePlan(s.Stdout, result)
	}
	if o.detailed && !result.Plan.Unchanged() {
		return exit.Code(2) // documented, and not BadUsage
	}
	return nil
}
