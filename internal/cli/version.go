package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func newVersion(a *App) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show which mcp this is",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if a.json {
				a.printJSON(map[string]string{"mcp": version, "go": runtime.Version(), "platform": platform})
				return nil
			}
			_, _ = fmt.Fprintf(a.Stdout, "mcp %s, built with %s for %s\n", version, runtime.Version(), platform)
			return nil
		},
	}
}
