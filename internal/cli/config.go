package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/config"
)

// shownConfig is mcp config show --json.
type shownConfig struct {
	// File is "" where there is none.
	File     string           `json:"file"`
	Settings []config.Setting `json:"settings"`
}

func newConfig(a *App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Look at the configuration",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "show",
		Short: "Show each setting, and where it comes from",
		Long: `Show lists each key of mcp.toml with the value that holds, and where that comes
from: a default, the file, the environment or a flag. Secrets are not shown.`,
		Example: "  mcp config show",
		Args:    args(cobra.NoArgs),
		RunE:    func(*cobra.Command, []string) error { return a.showConfig() },
	})
	return cmd
}

func (a *App) showConfig() error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	settings, err := cfg.Settings()
	if err != nil {
		return usageError{err}
	}
	if a.json {
		a.printJSON(shownConfig{cfg.File(), settings})
		return nil
	}
	_, _ = fmt.Fprintf(a.Stdout, "# this configuration is %s\n", cfg.Describe())
	table := tabwriter.NewWriter(a.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KEY\tVALUE\tFROM")
	for _, s := range settings {
		value := s.Value
		if value == "" {
			value = "-"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", s.Key, value, s.Source)
	}
	return table.Flush()
}
