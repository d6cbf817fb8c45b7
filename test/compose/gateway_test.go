package compose_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/config"
)

// TestAGateway loads the file of a gateway over docker-compose.yml. Its variables are
// settings of mcp, and lead to the other services.
func TestAGateway(t *testing.T) {
	loading := func(env ...string) (*types.Project, error) {
		options, err := cli.NewProjectOptions(
			[]string{filepath.Join(root, "docker-compose.yml"), filepath.Join(root, "deploy", "compose.gateway.yml")},
			cli.WithWorkingDirectory(root), cli.WithEnv(append(passwords, env...)), cli.WithResolvedPaths(true),
		)
		require.NoError(t, err)
		return options.LoadProject(context.Background())
	}
	_, err := loading()
	require.ErrorContains(t, err, "MCP_GATEWAY_ADDRESSES")
	p, err := loading("MCP_GATEWAY_ADDRESSES=door.example:7433")
	require.NoError(t, err)
	gateway := p.Services["mcp-gateway"]
	require.FileExists(t, filepath.Join(gateway.Build.Context, gateway.Build.Dockerfile))
	require.Equal(t, types.ShellCommand{"gateway"}, gateway.Command)
	require.Equal(t, []string{"7433"}, []string{gateway.Ports[0].Published})

	c, err := config.Load("", func(name string) string {
		if value := gateway.Environment[name]; value != nil {
			return *value
		}
		return ""
	})
	require.NoError(t, err)
	require.Equal(t, config.DefaultDoor, c.Gateway.Listen)
	require.Equal(t, []string{"door.example:7433"}, c.Gateway.Doors())
	require.Equal(t, "/var/lib/mcp-gateway", gateway.Volumes[0].Target)
	require.Equal(t, gateway.Volumes[0].Target, filepath.Dir(c.Gateway.KeyFile))
	require.Equal(t, gateway.Volumes[0].Target, c.Gateway.Data)
	url, err := c.PostgresURL()
	require.NoError(t, err)
	require.Equal(t, "postgres://mcp:mcp-secret@mcp-postgres:5432/mcp", url)
	upstream, namespace, err := c.Upstream()
	require.NoError(t, err)
	require.Equal(t, "temporal:7233", upstream.Target())
	require.Equal(t, "default", namespace)
	require.NoError(t, upstream.Close())
}
