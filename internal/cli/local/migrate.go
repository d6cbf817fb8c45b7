package local

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows"
)

func newMigrate(s *session.Session) *cobra.Command {
	var decrypt bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Migrate mcp's tables in Postgres to the version that this mcp needs",
		Long: `Migrate brings mcp's tables in Postgres to the version that this mcp needs, and
removes from the audit what is older than [audit] keep. Several may run at once.

With [postgres] owner_url_file it connects as the role of that URL, which owns the
tables, and grants the role of the workers' URL no more than they need: they
cannot change the audit, nor define anything, and wait for tables that are too
old. Without it the workers connect as the owner, and migrate the tables when they
start.

Where [temporal] encryption_key_file is set it also encrypts what the tables have
of definitions, failures and outputs that is plain, or encrypted with another key
than the first; deploys go on meanwhile. A key that is not in the file any more is
then forgotten. With --decrypt it decrypts all of it, for a fleet that gives up
encryption: stop the control workers first.`,
		Example: "  mcp migrate",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runMigrate(cmd.Context(), s, decrypt) },
	}
	cmd.Flags().BoolVar(&decrypt, "decrypt", false, "decrypt what the tables have encrypted")
	return cmd
}

func runMigrate(ctx context.Context, s *session.Session, decrypt bool) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	m, err := migrationOf(s, cfg)
	if err != nil {
		return exit.Usage(err)
	}
	encryption, err := cfg.Codec()
	if err != nil {
		return exit.Usage(err)
	}
	m.Keys, m.Decrypt = encryption.Keys(), decrypt
	did, err := workers.Migrate(ctx, m)
	switch {
	case fault.Is(err, fault.Unavailable):
		return exit.Unreachable(fault.Of(err))
	case err != nil:
		return err
	case s.JSON:
		s.PrintJSON(did)
		return nil
	}
	if did.From == did.To {
		_, _ = fmt.Fprintf(s.Stdout, "the registry is at version %d already\n", did.To)
	} else {
		_, _ = fmt.Fprintf(s.Stdout, "the registry: version %d → %d\n", did.From, did.To)
	}
	if did.Granted != "" {
		_, _ = fmt.Fprintf(s.Stdout, "role %s has what workers need\n", did.Granted)
	}
	switch {
	case did.Encrypted > 0 && decrypt:
		_, _ = fmt.Fprintf(s.Stdout, "%s decrypted\n", ui.Counted(did.Encrypted, "row"))
	case did.Encrypted > 0:
		_, _ = fmt.Fprintf(s.Stdout, "%s encrypted with key %s\n", ui.Counted(did.Encrypted, "row"), did.Key)
	}
	for _, id := range did.Forgotten {
		_, _ = fmt.Fprintf(s.Stdout, "key %s is forgotten\n", id)
	}
	if did.Expired > 0 {
		_, _ = fmt.Fprintf(s.Stdout, "the audit: %s expired\n", ui.Counted(did.Expired, "action"))
	}
	return nil
}

// migrationOf returns the migration that a configuration asks for.
func migrationOf(s *session.Session, cfg *config.Config) (m workers.Migration, err error) {
	m = workers.Migration{
		Insecure: cfg.Postgres.Insecure, KeepAudit: time.Duration(cfg.Audit.Keep),
		Audited: func(did workers.Migrated) []fleet.AuditEntry { return audited(s, did) },
	}
	if m.PostgresURL, err = session.OwnerURL(cfg); err != nil || cfg.Postgres.OwnerURLFile == "" {
		return m, err
	}
	workersURL, err := session.RegistryURL(cfg)
	if err != nil {
		return m, fmt.Errorf("find the role of the workers: %w", err)
	}
	m.Role, err = workers.LimitedRole(workersURL, m.PostgresURL)
	return m, err
}

// audited returns what the audit has of a migration.
func audited(s *session.Session, did workers.Migrated) []fleet.AuditEntry {
	detail := fmt.Sprintf("from version %d to %d", did.From, did.To)
	if did.Expired > 0 {
		detail += fmt.Sprintf(", %s of the audit expired", ui.Counted(did.Expired, "action"))
	}
	if did.Encrypted > 0 {
		detail += fmt.Sprintf(", %s encrypted with key %q", ui.Counted(did.Encrypted, "row"), did.Key)
	}
	begun := fleet.AuditEntry{
		Key: "migrate/" + session.Nonce(), At: time.Now(), Actor: s.Actor(),
		Action: fleet.Action{Verb: "migrate", Detail: detail},
	}
	ended := begun
	ended.Outcome = string(workflows.Succeeded)
	if did.From == did.To && did.Expired == 0 && did.Encrypted == 0 {
		ended.Outcome = string(workflows.Unchanged)
	}
	return []fleet.AuditEntry{begun, ended}
}
