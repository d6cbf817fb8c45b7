package change

import (
	"cmp"
	"context"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

func newRollback(s *session.Session) *cobra.Command {
	var to int
	var deadline time.Duration
	var wait bool
	cmd := &cobra.Command{
		Use:   "rollback SERVICE",
		Short: "Deploy a former release again, with the digests that it had",
		Long: `Rollback deploys the release before this one, or the one that --to names, with
its own definition and the very images that it had, wherever their tags point
now. The image registry is asked only for what its nodes do not have. It is a
deploy like any other: health-gated, and put back if it fails.
After mcp undeploy and mcp stop it deploys the release that ran last. It asks for
no confirmation.`,
		Example: "  mcp rollback shop\n  mcp rollback shop --to 12",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRollback(cmd.Context(), s, args[0], to, deadline, wait)
		},
	}
	cmd.Flags().IntVar(&to, "to", 0, "the number of the release, from mcp history")
	deadlineFlag(cmd, &deadline)
	waitFlag(cmd, &wait)
	return cmd
}

func runRollback(ctx context.Context, s *session.Session, service string, to int, deadline time.Duration, wait bool) error {
	cfg, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	deadline = cmp.Or(deadline, time.Duration(cfg.Deadline))
	snapshot, err := formerRelease(ctx, s, c, service, to, deadline)
	if err != nil {
		return err
	}
	in := workflows.DeployInput{
		Verb:       fleet.VerbRollback,
		Definition: snapshot.Definition,
		Release:    snapshot.Number,
		Digests:    snapshot.Digests,
		Deadline:   deadline,
	}
	in.Who, in.From = s.Identity()
	return perform(ctx, s, c, in, wait)
}

// formerRelease reads the release to go back to: number to or, for 0, the newest before
// the current one.
func formerRelease(ctx context.Context, s *session.Session, c client.Client, service string, to int, deadline time.Duration) (fleet.Snapshot, error) {
	wait := cmp.Or(deadline, workflows.DefaultDeadline)
	var former workflows.SnapshotResult
	in := workflows.SnapshotInput{Service: service, Number: to, Wait: wait}
	err := s.Read(ctx, c, "snapshot", workflows.SnapshotName, in, &former, session.UntilDeadline(wait))
	switch {
	case err != nil || to != 0:
		return former.Snapshot, err
	case !former.Deployed:
		return former.Snapshot, session.NeverDeployed(service)
	case former.Number == 0:
		return former.Snapshot, fault.New(fault.NotFound, "service %s has no release before release %d", service, former.Release)
	}
	s.Say("back from release %d to release %d", former.Release, former.Number)
	return former.Snapshot, nil
}
