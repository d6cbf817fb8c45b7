package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workers"
)

// migrated is mcp migrate --json: the versions of the tables before and after.
type migrated struct {
	From int `json:"from"`
	To   int `json:"to"`
}

func newMigrate(a *App) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring mcp's tables in Postgres to what this mcp needs",
		Long: `Migrate brings mcp's tables in Postgres to what this mcp needs. A control
worker does the same when it starts; several may do so at once.`,
		Example: "  mcp migrate",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.migrate(cmd.Context()) },
	}
}

func (a *App) migrate(ctx context.Context) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	url, err := cfg.PostgresURL()
	if err != nil {
		return usageError{err}
	}
	from, to, err := workers.Migrate(ctx, url)
	switch {
	case fault.Is(err, fault.Unavailable):
		return unreachableError{fault.Of(err)}
	case err != nil:
		return err
	case a.json:
		a.printJSON(migrated{From: from, To: to})
	case from == to:
		_, _ = fmt.Fprintf(a.Stdout, "the registry is at version %d already\n", to)
	default:
		_, _ = fmt.Fprintf(a.Stdout, "the registry: version %d → %d\n", from, to)
	}
	return nil
}
