package change

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

type purgeOptions struct {
	yes, dry bool
	deadline time.Duration
}

func newPurge(s *session.Session) *cobra.Command {
	var o purgeOptions
	cmd := &cobra.Command{
		Use:   "purge SERVICE",
		Short: "Delete the history, definition, ports and events of an undeployed service",
		Long: `Purge deletes everything that the registry has of a service: its deployments, with
what a rollback to them needs, its last definition, its resting ports and its
events. It is refused while the service has containers, or is being deployed. Its
definition file, its images and its named volumes stay, and so do the steps of its
deploys, while Temporal retains them. The service may be deployed again, as if for
the first time.

It asks for confirmation; without a terminal it requires -y.`,
		Example: "  mcp purge shop --dry-run\n  mcp purge shop -y --json",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return runPurge(cmd.Context(), s, args[0], o) },
	}
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "show how much would be deleted, and delete nothing")
	deadlineFlag(cmd, &o.deadline)
	return cmd
}

func runPurge(ctx context.Context, s *session.Session, service string, o purgeOptions) error {
	cfg, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if o.dry || !o.yes { // the counts are read only to be shown
		var known fleet.Forgotten
		if err := s.Read(ctx, c, "purge", reads.PurgeableName, service, &known); err != nil {
			return err
		}
		if known.Nothing() {
			return nothingKnown(service)
		}
		if o.dry {
			showPurgeable(s, known)
			return nil
		}
		if err := s.Confirm(ctx, "purge "+service, rowsOf(known), o.yes); err != nil {
			return err
		}
	}
	in := workflows.PurgeInput{Service: service, Deadline: cmp.Or(o.deadline, time.Duration(cfg.Deadline))}
	in.Who, in.From = s.Identity()
	result, err := performed(ctx, s, c, in, true)
	switch {
	case err != nil:
		return err
	case result.Forgotten != nil && result.Forgotten.Nothing():
		return nothingKnown(service)
	}
	return showResult(s, result)
}

// nothingKnown returns the fault of a service that the registry has nothing of.
func nothingKnown(service string) error {
	return exit.Usage(fault.New(fault.NotFound, "the registry has nothing of service %s: it has never been deployed, or is purged already", service))
}

// showPurgeable shows what a purge would delete.
func showPurgeable(s *session.Session, f fleet.Forgotten) {
	if s.JSON {
		s.PrintJSON(f)
		return
	}
	_, _ = fmt.Fprintf(s.Stdout, "%s: a purge would delete\n", f.Service)
	writeForgotten(s, f)
}
