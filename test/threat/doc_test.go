// Package threat feeds mcp what an attacker controls: the output of a container, the
// answers of a node, the files of another user. Each test prints its figure.
package threat

import (
	"os"
	"testing"

	"github.com/metacircular/mcp/internal/cli"
)

// mcpVariable makes this program mcp.
const mcpVariable = "MCP_THREAT_RUNS_MCP"

func TestMain(m *testing.M) {
	if os.Getenv(mcpVariable) != "" {
		os.Exit(cli.Main(nil))
	}
	os.Exit(m.Run())
}
