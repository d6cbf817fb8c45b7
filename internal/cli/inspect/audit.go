package inspect

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

// auditShown is how many of the newest actions are listed.
const auditShown = 50

func newAudit(s *session.Session) *cobra.Command {
	in := reads.AuditInput{}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List who did what, to what and from where, oldest first",
		Long: `Audit lists what was done: every command that changes something, every command
that was run in a container, and what mcp did by itself, such as a job that was
due. Each has a row from its beginning on, which is not changed, and which mcp
migrate removes when it is older than [audit] keep.

Until commands are authenticated, who has done something is what the client
claims: its user and its host. An outcome of - means that the action is under way,
or that its workflow was terminated.`,
		Example: "  mcp audit\n  mcp audit --service shop --since 24h\n  mcp audit --who alice --json\n  mcp audit --before 120",
		Args:    session.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case in.For < 0:
				return exit.Usage(fmt.Errorf("--since must be a positive duration, such as 1h, not %s", in.For))
			case in.Limit < 1 || in.Limit > fleet.AuditLimit:
				return exit.Usage(fmt.Errorf("--limit must be between 1 and %d, not %d", fleet.AuditLimit, in.Limit))
			case in.Before < 0:
				return exit.Usage(fmt.Errorf("--before must be the id of an action, not %d", in.Before))
			}
			return runAudit(cmd.Context(), s, in)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.Service, "service", "", "only what was done to this service")
	flags.StringVar(&in.Who, "who", "", "only what this user did, or user@host; mcp for mcp itself")
	flags.DurationVar(&in.For, "since", 0, "how far back to list, such as 24h")
	flags.IntVarP(&in.Limit, "limit", "n", auditShown, "list so many of the newest")
	flags.Int64Var(&in.Before, "before", 0, "only what was done before the action with this id")
	return cmd
}

func runAudit(ctx context.Context, s *session.Session, in reads.AuditInput) error {
	var list []fleet.AuditRecord
	if err := s.Query(ctx, "audit", reads.AuditName, in, &list); err != nil {
		return err
	}
	switch {
	case s.JSON:
		s.PrintJSON(list)
	case len(list) == 0:
		_, _ = fmt.Fprintln(s.Stdout, "no actions")
	default:
		writeAudit(s, list)
		if len(list) == in.Limit {
			s.Say("older ones: mcp audit --before %d", list[0].ID)
		}
	}
	return nil
}

// writeAudit prints actions for a person. What clients have written stays in its row.
func writeAudit(s *session.Session, list []fleet.AuditRecord) {
	table := ui.Table(s.Stdout)
	_, _ = fmt.Fprintln(table, "ID\tTIME\tWHO\tFROM\tVERB\tABOUT\tOUTCOME\tDETAIL")
	for _, r := range list {
		who := ui.Cell(r.Who)
		if r.Claimed {
			who += " (claimed)"
		}
		detail := r.Detail
		if r.Error != "" {
			detail = r.Error
		}
		outcome := cmp.Or(r.Outcome, "-")
		if took := r.Ended.Sub(r.At); !r.Ended.IsZero() && took >= time.Minute {
			outcome += " after " + took.Round(time.Second).String()
		}
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, ui.Moment(r.At), who, cmp.Or(ui.Cell(r.From), "-"),
			ui.Cell(r.Verb), ui.Cell(r.Subject()), ui.Cell(outcome), ui.Cell(ui.FirstLine(detail)))
	}
	_ = table.Flush()
}
