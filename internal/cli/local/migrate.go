package local

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows"
)

// migrated is mcp migrate --json: the versions of the tables before and after.
type migrated struct {
	From int `json:"from"`
	To   int `json:"to"`
}

func newMigrate(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Migrate mcp's tables in Postgres to the version that this mcp needs",
		Long: `Migrate brings mcp's tables in Postgres to the version that this mcp needs. A
control worker does the same when it starts; several may run at once.`,
		Example: "  mcp migrate",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runMigrate(cmd.Context(), s) },
	}
}

func runMigrate(ctx context.Context, s *session.Session) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	url, err := cfg.PostgresURL()
	if err != nil {
		return exit.Usage(err)
	}
	from, to, err := workers.Migrate(ctx, url)
	if err == nil {
		err = workers.RecordAudit(ctx, url, migration(s, from, to))
	}
	switch {
	case fault.Is(err, fault.Unavailable):
		return exit.Unreachable(fault.Of(err))
	case err != nil:
		return err
	case s.JSON:
		s.PrintJSON(migrated{From: from, To: to})
	case from == to:
		_, _ = fmt.Fprintf(s.Stdout, "the registry is at version %d already\n", to)
	default:
		_, _ = fmt.Fprintf(s.Stdout, "the registry: version %d → %d\n", from, to)
	}
	return nil
}

// migration is what the audit has of a migration.
func migration(s *session.Session, from, to int) []fleet.AuditEntry {
	begun := fleet.AuditEntry{
		Key: "migrate/" + session.Nonce(), At: time.Now(), Actor: s.Actor(),
		Action: fleet.Action{Verb: "migrate", Detail: fmt.Sprintf("from version %d to %d", from, to)},
	}
	ended := begun
	ended.Outcome = string(workflows.Succeeded)
	if from == to {
		ended.Outcome = string(workflows.Unchanged)
	}
	return []fleet.AuditEntry{begun, ended}
}
