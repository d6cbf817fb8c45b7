package cli_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNothingIsDeployedWhileADefinitionIsBad(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	services := filepath.Join(dir, "services")
	write(t, filepath.Join(services, "shop.toml"), definition("shop", "api"))
	write(t, filepath.Join(services, "blog.toml"), definition("blog", "web"))
	write(t, filepath.Join(services, "broken.toml"), definition("broken", "api")+"imagge = 1\n")
	write(t, filepath.Join(services, "a.toml"), definition("a", "b-c"))
	write(t, filepath.Join(services, "a-b.toml"), definition("a-b", "c"))
	// No server answers there: a command that asks Temporal exits 4.
	env := map[string]string{"MCP_SERVICES": services, "TEMPORAL_ADDRESS": "127.0.0.1:1"}
	for name, test := range map[string]struct {
		line string
		says []string
	}{
		"named":                {"shop broken", []string{"imagge"}},
		"several of them":      {"shop broken shopp", []string{"imagge", "defines service shopp", "did you mean shop?"}},
		"all":                  {"--all", []string{"imagge", "a-b-c on node rift"}},
		"changed":              {"--changed", []string{"imagge"}},
		"an unknown component": {"shop/web broken", []string{"has no component web", "imagge"}},
		"one named twice":      {"shop shop/api", []string{"service shop is named twice"}},
		"names beside all":     {"--all shop", []string{"--all deploys every service"}},
		"no name":              {"", []string{"name a service, or give --all or --changed"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := mcp(t.Context(), t, env, append([]string{"deploy"}, strings.Fields(test.line)...)...)
			require.Equal(t, 2, got.code, got)
			for _, text := range test.says {
				require.Contains(t, got.stderr, text)
			}
		})
	}
	require.Equal(t, 4, mcp(t.Context(), t, env, "deploy", "shop", "blog").code, "those are sound")
}
