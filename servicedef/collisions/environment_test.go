package collisions_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/collisions"
	"github.com/metacircular/mcp/servicedef/servicedeftest"
)

const settings = servicedeftest.Environments

// lineOf returns the number of the line that contains part.
func lineOf(t *testing.T, text, part string) int {
	t.Helper()
	before, _, ok := strings.Cut(text, part)
	require.True(t, ok, "%q is in the text", part)
	return 1 + strings.Count(before, "\n")
}

func TestCollisionsBetweenEnvironmentsHaveTheirLines(t *testing.T) {
	text := settings + `[[env.test.components]]
name = "db"
ports = ["5432:5432"]
[[env.staging.components]]
name = "db"
node = "rift"
ports = ["5432:5432"]
`
	file := filepath.Join(t.TempDir(), "shop.toml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	all, err := servicedef.LoadAll(file)
	require.NoError(t, err)
	var found servicedef.Errors
	require.ErrorAs(t, collisions.Ports(all), &found)
	require.Len(t, found, 1)
	require.Equal(t, "env.test.components[0].ports[0]", found[0].Key)
	require.Equal(t, lineOf(t, text, "ports = ["), found[0].Line)
	require.ErrorAs(t, collisions.Endpoints(all), &found)
	require.Equal(t, "components[0].routes[0]", found[0].Key)
	require.Contains(t, found[0].Message, "shop.example:443 is claimed by service shop")
}
