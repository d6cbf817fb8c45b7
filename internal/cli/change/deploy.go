package change

import (
	"context"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/workflows"
)

func newDeploy(s *session.Session) *cobra.Command {
	var o deployOptions
	cmd := &cobra.Command{
		Use:   "deploy SERVICE[/COMPONENT]…",
		Short: "Build what is missing, and bring services to their definitions",
		Long: `Deploy brings a service, or one component of it, to its definition: it builds
and pushes the images that the image registry lacks, allocates host ports for
the routes, starts the new containers, and cuts over when all are healthy.
What fails is put back. A service with active = false is stopped.

The command ends when the new containers have taken over. The old ones are
drained, stopped and removed after that, without it: mcp status lists them until
they are gone, and --wait waits for that. So does the next deploy of the service.

The deploy runs in Temporal: Ctrl-C only detaches from it, and the same command
attaches again.

Several services are deployed concurrently: one that fails does not affect the
others, and the exit code is that of the worst. Only a service that takes a host
port or a volume from another one of them waits for that. A mistake in a
definition is found before, and then none is deployed; with --all that holds for
every file of the services directory. --changed leaves out the services that mcp
plan shows as unchanged. With --json there is one object for one named service,
else a list.

A tag of {git} is the hash of the sources that the image is built from: of what
is committed, or with --dirty of what is there. Unchanged sources have the same
tag, and nothing is built.`,
		Example: "  mcp deploy shop\n  mcp deploy shop/api --force\n  mcp deploy shop blog\n  mcp deploy --changed",
		Args:    session.Args(func(_ *cobra.Command, targets []string) error { return o.check(targets) }),
		RunE:    func(cmd *cobra.Command, args []string) error { return runDeploy(cmd.Context(), s, args, o) },
	}
	cmd.Flags().BoolVar(&o.force, "force", false, "replace unchanged containers, too")
	cmd.Flags().BoolVar(&o.all, "all", false, "deploy every service of the services directory")
	cmd.Flags().BoolVar(&o.changed, "changed", false, "deploy only the services, of the named ones or of all, that a deploy would change")
	sourceFlags(cmd, &o.sourceOptions)
	deadlineFlag(cmd, &o.deadline)
	waitFlag(cmd, &o.wait)
	return cmd
}

// Deployer deploys a service for another verb, as mcp deploy does without flags.
func Deployer(s *session.Session) func(ctx context.Context, service string) error {
	return func(ctx context.Context, service string) error {
		return runDeploy(ctx, s, []string{service}, deployOptions{})
	}
}

func runDeploy(ctx context.Context, s *session.Session, targets []string, o deployOptions) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	inputs, err := deployInputs(ctx, s, cfg, targets, o)
	if err != nil {
		return err
	}
	c, err := s.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	if len(targets) == 1 && !o.changed {
		return deployOne(ctx, s, c, cfg, inputs[0], o)
	}
	return deployMany(ctx, s, c, cfg, inputs, o)
}

// deployOne deploys one service, and builds what it needs.
func deployOne(ctx context.Context, s *session.Session, c client.Client, cfg *config.Config, in workflows.DeployInput, o deployOptions) error {
	shown := showBuilds(ctx, s, c, cfg, o.sourceOptions, in.Definition)
	defer shown.stop()
	run, err := startDeploy(ctx, s, c, in)
	if err != nil {
		return err
	}
	builder, follower := s.Builder(c, cfg), s.Follow(c)
	builder.Output, follower.ToEnd = shown.writer(), o.wait
	shown.start()
	if follower.Builds, err = builder.Serve(ctx, in.Definition); err != nil {
		return err
	}
	defer builder.Stop()
	var result workflows.Result
	if err := follower.Run(ctx, run, &result); err != nil {
		return err
	}
	return showResult(s, result)
}
