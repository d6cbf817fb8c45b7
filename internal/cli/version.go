package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
)

// version is set by the linker.
var version = "dev"

// thisVersion is mcp version --json.
type thisVersion struct {
	MCP string `json:"mcp"`
	// Go is the version of Go that built it, Platform what for: "linux/amd64".
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisProgram(s *session.Session) thisVersion {
	return thisVersion{MCP: s.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
}

func (v thisVersion) String() string {
	return fmt.Sprintf("mcp %s, built with %s for %s", v.MCP, v.Go, v.Platform)
}

func newVersion(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of mcp",
		Long: `Version shows the version of mcp, and the Go version and the platform that it was
built for. A node's worker announces the same: see mcp node list.`,
		Example: "  mcp version\n  mcp version --json",
		Args:    session.Args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if s.JSON {
				s.PrintJSON(thisProgram(s))
				return nil
			}
			_, _ = fmt.Fprintln(s.Stdout, thisProgram(s))
			return nil
		},
	}
}
