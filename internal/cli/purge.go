package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

type purgeOptions struct {
	yes, dry bool
	deadline time.Duration
}

func newPurge(a *App) *cobra.Command {
	var o purgeOptions
	cmd := &cobra.Command{
		Use:   "purge SERVICE",
		Short: "Forget a service that was undeployed: its history, definition, ports and events",
		Long: `Purge forgets all that the registry has of a service: its deployments, with what
a rollback to them needs, the definition given last, the ports that rest, and its
events. It is refused while the service has containers, or is being deployed. Its
definition file, its images and its named volumes stay, and so does, for as long
as Temporal keeps them, what its deploys have done step by step. The service may
be deployed again, as if for the first time.

It asks first; without a terminal, -y must say that it may.`,
		Example: "  mcp purge shop --dry-run\n  mcp purge shop -y --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.purge(cmd.Context(), args[0], o) },
	}
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "say how much would be forgotten, and forget nothing")
	cmd.Flags().DurationVar(&o.deadline, "deadline", 0, "how long to wait for what is down (default 30m)")
	return cmd
}

func (a *App) purge(ctx context.Context, service string, o purgeOptions) error {
	cfg, c, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if o.dry || !o.yes { // what there is is read only to be shown
		var known fleet.Forgotten
		if err := a.read(ctx, c, "purge", workflows.PurgeableName, service, &known); err != nil {
			return err
		}
		if known.Nothing() {
			return nothingKnown(service)
		}
		if o.dry {
			a.showPurgeable(known)
			return nil
		}
		if err := a.confirm(ctx, "purge "+service, rowsOf(known), o.yes); err != nil {
			return err
		}
	}
	in := workflows.PurgeInput{Service: service, Deadline: cmp.Or(o.deadline, time.Duration(cfg.Deadline))}
	in.Who, in.From = a.identity()
	result, err := a.performed(ctx, c, in)
	switch {
	case err != nil:
		return err
	case result.Forgotten != nil && result.Forgotten.Nothing():
		return nothingKnown(service)
	}
	return a.showResult(result)
}

// nothingKnown is the fault of a service that there is nothing to forget of.
func nothingKnown(service string) error {
	return usageError{fault.New(fault.NotFound, "nothing is known of service %s: it has never been deployed, or is purged already", service)}
}

// showPurgeable shows what a purge would forget.
func (a *App) showPurgeable(f fleet.Forgotten) {
	if a.json {
		a.printJSON(f)
		return
	}
	_, _ = fmt.Fprintf(a.Stdout, "%s: a purge would forget\n", f.Service)
	a.writeForgotten(f)
}

func (a *App) writeForgotten(f fleet.Forgotten) {
	for _, line := range rowsOf(f) {
		_, _ = fmt.Fprintf(a.Stdout, "  - %s\n", line)
	}
}

// rowsOf says how much there is to forget, a line for each kind.
func rowsOf(f fleet.Forgotten) []string {
	var lines []string
	for _, of := range []struct {
		n    int
		noun string
	}{
		{f.Deployments, "deployment"}, {f.Definitions, "definition"}, {f.Ports, "port"}, {f.Events, "event"}, {f.Drift, "open drift"},
	} {
		if of.n > 0 {
			lines = append(lines, counted(of.n, of.noun))
		}
	}
	return lines
}
