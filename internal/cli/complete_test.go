package cli_test

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const twoParts = `name = "shop"
node = "rift"
[build.images]
shop-api = "Containerfile"
[[components]]
name = "api"
image = "registry.example:5000/shop-api:v1"
[[components]]
name = "web"
node = "orion"
image = "registry.example:5000/shop-web:v1"
`

func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, filepath.Join(dir, "services", "shop.toml"), twoParts)
	write(t, filepath.Join(dir, "services", "shop-old.toml"), definition("shop-old", "api"))
	write(t, filepath.Join(dir, "services", "broken.toml"), "name = ")
	env := map[string]string{"MCP_SERVICES": filepath.Join(dir, "services"), "TEMPORAL_ADDRESS": "127.0.0.1:1"}

	for _, test := range []struct {
		name string
		line []string
		want string // what is offered, and cobra's directive
	}{
		{"services", []string{"deploy", ""}, "shop shop-old :36"},
		{"a service's components, once it alone is meant", []string{"deploy", "shop/"}, "shop shop/api shop/web :36"},
		{"no components where those are not meant", []string{"rollback", "shop/"}, "shop :36"},
		{"images that can be built", []string{"build", "shop/"}, "shop shop/shop-api :36"},
		{"the nodes that definitions name", []string{"node", "show", ""}, "orion rift :36"},
		{"nodes for a flag", []string{"ps", "--node", ""}, "orion rift :36"},
		{"a second service, and not the first again", []string{"status", "shop", ""}, "shop-old :36"},
		{"nothing after the last argument", []string{"plan", "shop", ""}, ":4"},
		{"nothing where nothing is wanted", []string{"migrate", ""}, ":4"},
		{"nothing for a time", []string{"deploy", "--deadline", ""}, ":4"},
		{"no release while the system is away", []string{"rollback", "shop", "--to", ""}, ":36"},
		{"roles of identities", []string{"identity", "revoke", ""}, "operator deployer reader node edge builder control :36"},
		{"grants", []string{"identity", "create", "reader", "eve", "--grant", ""}, "exec cp port-forward secrets :36"},
		{"definitions by the shell", []string{"service", "check", ""}, "toml :8"},
		{"directories by the shell", []string{"worker", "--workspace", ""}, ":16"},
		{"subcommands", []string{"node", "dr"}, "drain :4"},
	} {
		t.Run("offers "+test.name, func(t *testing.T) {
			got := mcp(t.Context(), t, env, append([]string{"__complete"}, test.line...)...)
			require.Zero(t, got.code, got)
			offered := regexp.MustCompile(`\t.*`).ReplaceAllString(got.stdout, "")
			require.Equal(t, test.want, strings.Join(strings.Fields(offered), " "))
			require.NotContains(t, got.stderr, "error")
		})
	}

	t.Run("offers the same after a flag of mcp's own", func(t *testing.T) {
		got := mcp(t.Context(), t, env, "--json", "__complete", "deploy", "")
		require.Equal(t, "shop\nshop-old\n:36\n", got.stdout)
	})

	t.Run("remembers what files say, and sees where one has changed", func(t *testing.T) {
		remembering := map[string]string{"XDG_CACHE_HOME": t.TempDir(), "MCP_SERVICES": t.TempDir(), "TEMPORAL_ADDRESS": env["TEMPORAL_ADDRESS"]}
		offered := func() string {
			return mcp(t.Context(), t, remembering, "__complete", "rollback", "").stdout
		}
		file := filepath.Join(remembering["MCP_SERVICES"], "shop.toml")
		write(t, file, twoParts)
		require.Equal(t, "shop\n:36\n", offered())
		kept, err := filepath.Glob(filepath.Join(remembering["XDG_CACHE_HOME"], "mcp", "completions", "*.json"))
		require.NoError(t, err)
		require.Len(t, kept, 1)
		write(t, kept[0], `{"by-heart": {}}`)
		require.Equal(t, "by-heart\n:36\n", offered())
		write(t, file, strings.Replace(twoParts, `"shop"`, `"shed"`, 1))
		require.Equal(t, "shed\n:36\n", offered())
		write(t, filepath.Join(remembering["MCP_SERVICES"], "more.toml"), definition("more", "api"))
		require.Equal(t, "more\nshed\n:36\n", offered())
	})

	t.Run("waits no second for a system that does not answer", func(t *testing.T) {
		silent, err := net.Listen("tcp", "127.0.0.1:0") // no server accepts
		require.NoError(t, err)
		defer silent.Close()
		began := time.Now()
		got := mcp(t.Context(), t, map[string]string{"MCP_SERVICES": env["MCP_SERVICES"], "TEMPORAL_ADDRESS": silent.Addr().String()}, "__complete", "deploy", "")
		require.Less(t, time.Since(began), 3*time.Second, "a verb would wait for four")
		require.Equal(t, "shop\nshop-old\n:36\n", got.stdout)
	})

	t.Run("has a script for each shell", func(t *testing.T) {
		for _, shell := range []string{"bash", "zsh", "fish"} {
			got := mcp(t.Context(), t, nil, "completion", shell)
			require.Zero(t, got.code)
			require.Contains(t, got.stdout, "__complete")
		}
	})
}
