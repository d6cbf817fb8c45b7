package cli_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const staged = twoParts + `[[components.routes]]
name = "http"
port = 443
mode = "l7"
hostname = "shop.example"
[env.staging]
node = "orion"
[[env.staging.components]]
name = "web"
routes = [{ name = "http", hostname = "staging.shop.example" }]
[env.test]
[[env.test.components]]
name = "web"
routes = [{ name = "http", hostname = "test.shop.example" }]
`

func TestEnvironmentsOfTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	file := write(t, filepath.Join(dir, "services", "shop.toml"), staged)
	write(t, filepath.Join(dir, "services", "blog.toml"), definition("blog", "web"))
	env := map[string]string{"MCP_SERVICES": filepath.Join(dir, "services"), "TEMPORAL_ADDRESS": "127.0.0.1:1"}

	t.Run("an unknown one is refused, with those that there are", func(t *testing.T) {
		for _, line := range []string{
			"deploy shop", "deploy shop/api blog", "plan shop/api", "status shop", "history shop 3", "logs shop/web",
			"exec shop/web -- true", "rollback shop", "undeploy shop -y", "restart shop", "stop shop", "events shop",
			"service show shop", "adopt shop", "build shop", "sync shop", "purge shop", "cancel shop", "open shop", "maintenance shop on",
		} {
			words := strings.Fields(line)
			verb := 1
			if words[0] == "service" {
				verb = 2
			}
			got := mcp(t.Context(), t, env, slices.Concat(words[:verb], []string{"-e", "stagin"}, words[verb:])...)
			require.Equal(t, 2, got.code, line)
			require.Contains(t, got.stderr, "service shop has no environment stagin: it has staging, test", line)
			require.Contains(t, got.stderr, "did you mean -e staging?", line)
		}
		got := mcp(t.Context(), t, env, "plan", "blog", "-e", "staging")
		require.Equal(t, 2, got.code)
		require.Contains(t, got.stderr, "service blog has no environment staging: [env.staging] would define it")
		for _, line := range []string{"deploy --all -e prod", "deploy --changed -e prod", "status -e prod", "sync -e prod"} {
			got := mcp(t.Context(), t, env, strings.Fields(line)...)
			require.Equal(t, 2, got.code, line)
			require.Contains(t, got.stderr, "no definition has the environment prod: they have staging, test", line)
		}
	})

	t.Run("a name that is none is refused", func(t *testing.T) {
		for _, name := range []string{"", "a/b", "Staging", "-"} {
			got := mcp(t.Context(), t, env, "status", "shop", "-e", name)
			require.Equal(t, 2, got.code)
			require.Contains(t, got.stderr, "--env must be the name of an environment")
		}
		got := mcp(t.Context(), t, env, "events", "-e", "staging")
		require.Equal(t, 2, got.code)
		require.Contains(t, got.stderr, "--env needs a service")
	})

	t.Run("a known one reaches the control plane", func(t *testing.T) {
		for _, line := range []string{"deploy shop -e staging", "deploy --all -e staging", "status -e test", "logs shop/web -e test", "rollback gone -e staging"} {
			require.Equal(t, 4, mcp(t.Context(), t, env, strings.Fields(line)...).code, line)
		}
	})

	t.Run("show fills it in", func(t *testing.T) {
		got := mcp(t.Context(), t, env, "service", "show", "shop", "-e", "staging")
		require.Zero(t, got.code, got.stderr)
		require.Contains(t, got.stdout, `name = "shop-staging"`)
		require.Contains(t, got.stdout, `hostname = "staging.shop.example"`)
		require.Equal(t, got.stdout, mcp(t.Context(), t, env, "service", "show", "shop-staging").stdout)
	})

	t.Run("list and check name them", func(t *testing.T) {
		require.Contains(t, mcp(t.Context(), t, env, "service", "list").stdout, "staging test")
		got := mcp(t.Context(), t, env, "service", "check")
		require.Zero(t, got.code, got.stdout)
		require.Contains(t, got.stdout, "components [api web], environments [staging test]")
	})

	t.Run("check finds what two of them claim", func(t *testing.T) {
		text := strings.Replace(staged, `hostname = "test.shop.example"`, `port = 443`, 1) + "[[env.test.components]]\nname = \"api\"\nports = [\"80:80\"]\n" +
			"[[env.staging.components]]\nname = \"api\"\nnode = \"rift\"\nports = [\"80:80\"]\n"
		other := write(t, filepath.Join(dir, "services", "shop.toml"), text)
		defer write(t, file, staged)
		got := mcp(t.Context(), t, env, "service", "check", other)
		require.Equal(t, 2, got.code)
		require.Contains(t, got.stdout, "shop.example:443 is claimed by service shop ("+file)
		require.Contains(t, got.stdout, "host port 80/tcp on node rift is taken by service shop-staging")
	})

	t.Run("check finds a service of the same name", func(t *testing.T) {
		write(t, filepath.Join(dir, "more", "shop.toml"), staged)
		write(t, filepath.Join(dir, "more", "clash.toml"), definition("shop-test", "web"))
		got := mcp(t.Context(), t, env, "service", "check", "more/clash.toml", "more/shop.toml")
		require.Equal(t, 2, got.code)
		require.Contains(t, got.stdout, "more/clash.toml defines service shop-test too")
	})

	t.Run("completion", func(t *testing.T) {
		for line, want := range map[string]string{
			"deploy shop -e ":    "staging test :36",
			"deploy blog -e ":    ":36",
			"deploy -e ":         "staging test :36",
			"rollback -e test ":  "shop :36",
			"logs -e test shop/": "shop shop/api shop/web :36",
		} {
			words := strings.Split(line, " ")
			got := mcp(t.Context(), t, env, append([]string{"__complete"}, words...)...)
			require.Equal(t, want, strings.Join(strings.Fields(got.stdout), " "), line)
		}
	})
}
