package local

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workers"
)

// migrated is mcp migrate --json: the versions of the tables before and after.
type migrated struct {
	From int `json:"from"`
	To   int `json:"to"`
	// Encrypted is how many rows were encrypted anew, with the key of that id; decrypted
	// where it is "".
	Encrypted int    `json:"encrypted"`
	Key       string `json:"key"`
	// Forgotten are the ids of the keys that no process needs any more.
	Forgotten []string `json:"forgotten"`
}

func newMigrate(s *session.Session) *cobra.Command {
	var decrypt bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Migrate mcp's tables in Postgres to the version that this mcp needs",
		Long: `Migrate brings mcp's tables in Postgres to the version that this mcp needs. A
control worker does the same when it starts; several may run at once.

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
	url, err := cfg.PostgresURL()
	if err != nil {
		return exit.Usage(err)
	}
	encryption, err := cfg.Codec()
	if err != nil {
		return exit.Usage(err)
	}
	from, to, err := workers.Migrate(ctx, url)
	var resealed workers.Resealed
	if err == nil {
		resealed, err = workers.Reseal(ctx, url, encryption.Keys(), decrypt)
	}
	switch {
	case fault.Is(err, fault.Unavailable):
		return exit.Unreachable(fault.Of(err))
	case err != nil:
		return err
	case s.JSON:
		s.PrintJSON(migrated{From: from, To: to, Encrypted: resealed.Rows, Key: resealed.Key, Forgotten: append([]string{}, resealed.Forgotten...)})
		return nil
	case from == to:
		_, _ = fmt.Fprintf(s.Stdout, "the registry is at version %d already\n", to)
	default:
		_, _ = fmt.Fprintf(s.Stdout, "the registry: version %d → %d\n", from, to)
	}
	switch {
	case resealed.Rows > 0 && decrypt:
		_, _ = fmt.Fprintf(s.Stdout, "%d rows decrypted\n", resealed.Rows)
	case resealed.Rows > 0:
		_, _ = fmt.Fprintf(s.Stdout, "%d rows encrypted with key %s\n", resealed.Rows, resealed.Key)
	}
	for _, id := range resealed.Forgotten {
		_, _ = fmt.Fprintf(s.Stdout, "key %s is forgotten\n", id)
	}
	return nil
}
