package change

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

func newStop(s *session.Session) *cobra.Command {
	return turnCommand(s, fleet.VerbStop, &cobra.Command{
		Use:   "stop SERVICE",
		Short: "Stop a service's containers, and keep them and their ports",
		Long: `Stop stops the containers of a service, and keeps them and their ports. The
service stays stopped, also after a boot of its nodes, until mcp start, rollback
or deploy starts it; deploy --all and --changed do so too. The definition file is
not read, and need not exist.`,
		Example: "  mcp stop shop",
	})
}

func newStart(s *session.Session) *cobra.Command {
	return turnCommand(s, fleet.VerbStart, &cobra.Command{
		Use:   "start SERVICE",
		Short: "Start a service that was stopped, as it was released",
		Long: `Start runs the release of a service again, with the images that it had, wherever
their tags point now: nothing is built. A container that was stopped or removed
by hand is replaced, and one that runs is left alone. The definition file is not
read, and need not exist.`,
		Example: "  mcp start shop",
	})
}

func newRestart(s *session.Session) *cobra.Command {
	return turnCommand(s, fleet.VerbRestart, &cobra.Command{
		Use:   "restart SERVICE[/COMPONENT]",
		Short: "Replace a service's containers with fresh ones, as they were released",
		Long: `Restart replaces the containers of a service, or of one component, with fresh ones
of the same image and definition. As in a deploy a component whose order is
start-first serves until its successor is healthy, and what fails is put back. The
definition file is not read, and need not exist.`,
		Example: "  mcp restart shop\n  mcp restart shop/api",
	})
}

// turnCommand completes the command of a verb that works on a release, without the
// definition file.
func turnCommand(s *session.Session, verb fleet.Verb, cmd *cobra.Command) *cobra.Command {
	var deadline time.Duration
	var wait bool
	cmd.Args = session.Args(cobra.ExactArgs(1))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runTurn(cmd.Context(), s, verb, args[0], deadline, wait)
	}
	deadlineFlag(cmd, &deadline)
	if verb != fleet.VerbStop { // which replaces none
		waitFlag(cmd, &wait)
	}
	return cmd
}

func runTurn(ctx context.Context, s *session.Session, verb fleet.Verb, target string, deadline time.Duration, wait bool) error {
	service, component, part := strings.Cut(target, "/")
	if part && verb != fleet.VerbRestart {
		return exit.Usage(fmt.Errorf("mcp %[1]s takes a whole service: mcp %[1]s %[2]s", verb, service))
	}
	cfg, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	in := workflows.DeployInput{
		Verb:       verb,
		Definition: servicedef.Service{Name: service},
		Deadline:   cmp.Or(deadline, time.Duration(cfg.Deadline)),
	}
	if part {
		in.Only = []string{component}
	}
	in.Who, in.From = s.Identity()
	return perform(ctx, s, c, in, wait)
}
