package local

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
)

// shownConfig is mcp config show --json.
type shownConfig struct {
	// File is "" where there is none.
	File     string           `json:"file"`
	Settings []config.Setting `json:"settings"`
}

func newConfig(s *session.Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Inspect the configuration",
		Args:  session.Args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "show",
		Short: "Show each setting and its source",
		Long: `Show lists each key of mcp.toml with its value and the source of that: a default,
the file, the environment or a flag. Secrets are not shown.`,
		Example: "  mcp config show",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(*cobra.Command, []string) error { return runConfigShow(s) },
	})
	return cmd
}

func runConfigShow(s *session.Session) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	settings, err := cfg.Settings()
	if err != nil {
		return exit.Usage(err)
	}
	if s.JSON {
		s.PrintJSON(shownConfig{cfg.File(), settings})
		return nil
	}
	_, _ = fmt.Fprintf(s.Stdout, "# this configuration is %s\n", cfg.Describe())
	table := ui.Table(s.Stdout)
	_, _ = fmt.Fprintln(table, "KEY\tVALUE\tFROM")
	for _, one := range settings {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", one.Key, cmp.Or(one.Value, "-"), one.Source)
	}
	return table.Flush()
}
