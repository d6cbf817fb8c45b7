package collisions_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/collisions"
)

// settings is a definition with two environments.
const settings = `name = "shop"
node = "rift"
path = "shop"

[build.images]
shop-api = "Containerfile"

[[components]]
name = "api"
image = "registry.example:5000/shop-api:v1"
env = { LOG_LEVEL = "info", COLOUR = "blue" }
secret_env = { PASSWORD = "shop-db" }
secrets = ["shop-tls", { source = "key", mode = "0400" }]
cmd = ["serve", "--fast"]
volumes = ["shop-cache:/cache", "uploads:/uploads:ro", "/etc/shop:/etc/shop:ro"]

[components.health]
http = "/healthz"
host = "shop.example"
retries = 5

[[components.routes]]
name = "rest"
port = 443
mode = "l7"
hostname = "shop.example"

[[components]]
name = "db"
image = "docker.io/library/postgres:17"

[env.staging]
node = "orion"
[[env.staging.components]]
name = "api"
image = "registry.example:5000/shop-api:v2"
env = { LOG_LEVEL = "debug", EXTRA = "1" }
cmd = ["serve"]
[env.staging.components.health]
cmd = ["check"]
[[env.staging.components.routes]]
name = "rest"
hostname = "staging.shop.example"
[[env.staging.components.routes]]
name = "admin"
port = 9000

[env.test]
`

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
