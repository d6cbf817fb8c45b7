package servicedef_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

// withBuild is base with a table for the image.
func withBuild(t *testing.T, lines string) string {
	t.Helper()
	return edit(t, "[build.images]\nshop-api = \"Containerfile\"\n", "[build.images.shop-api]\n"+lines+"\n")
}

func TestRulesOfABuild(t *testing.T) {
	for lines, want := range map[string]string{
		`context = "../.."`: "build.images.shop-api.context: must be in the workspace",
		`context = "/srv"`:  "build.images.shop-api.context: must be in the workspace",
		"context = \"a\"\ncontainerfile = \"../../../x\"":       "build.images.shop-api.containerfile: must be in the workspace",
		`args = { "A B" = "x" }`:                                `build.images.shop-api.args."A B": must be the name of an ARG`,
		`target = "a b"`:                                        "build.images.shop-api.target: must be the name or the number of a stage",
		`secrets = { "a,b" = { file = "/x" } }`:                 `build.images.shop-api.secrets."a,b": must be an id`,
		`secrets = { a = {} }`:                                  "build.images.shop-api.secrets.a: must have one of secret, file and environment",
		`secrets = { a = { file = "x", environment = "X" } }`:   "build.images.shop-api.secrets.a: must have one of secret, file and environment",
		`secrets = { a = { secret = "s", environment = "S" } }`: "build.images.shop-api.secrets.a: must have one of secret, file and environment",
		`secrets = { a = { secret = "s/t" } }`:                  "build.images.shop-api.secrets.a.secret: must be the name of a secret",
		`secrets = { a = { file = "../../x" } }`:                "build.images.shop-api.secrets.a.file: must be in the workspace",
		`secrets = { a = { environment = "A-B" } }`:             "build.images.shop-api.secrets.a.environment: must be the name of a variable",
		`secrets = { a = { environment = "MCP_POSTGRES_URL"} }`: "build.images.shop-api.secrets.a.environment: must not be one of mcp's own",
		`secrets = { a = "x" }`:                                 "build.images.shop-api.secrets.a: must be a table",
		`ssh = ["default"]`:                                     "build.images.shop-api.ssh: no version of podman's API can forward an SSH agent",
		`platforms = ["arm64"]`:                                 "build.images.shop-api.platforms[0]: must be os/arch",
		`platforms = ["linux/arm64", "linux/arm64"]`:            "build.images.shop-api.platforms[1]: linux/arm64 is there twice",
		`contexts = { LIB = "lib" }`:                            "build.images.shop-api.contexts.LIB: must be a name",
		`contexts = { lib = "../../lib" }`:                      "build.images.shop-api.contexts.lib: must be in the workspace",
		`contexts = { lib = "https://example.org/x.git" }`:      "build.images.shop-api.contexts.lib: must be a directory of the workspace or docker-image://IMAGE",
		`contexts = { lib = "docker-image://alpine" }`:          "build.images.shop-api.contexts.lib: \"alpine\" must begin with the host",
		`cache_from = ["r.example/c:v1"]`:                       "build.images.shop-api.cache_from[0]: \"r.example/c:v1\" must have neither tag nor digest",
		`cache_to = ["cache"]`:                                  "build.images.shop-api.cache_to[0]: \"cache\" must begin with the host",
		`labels = { "mcp.service" = "x" }`:                      `build.images.shop-api.labels."mcp.service": must not begin with mcp.`,
		`labels = { "a=b" = "x" }`:                              `build.images.shop-api.labels."a=b": must be a name`,
		`contxt = "x"`:                                          "build.images.shop-api.contxt: unknown key, did you mean context or contexts?",
		`args = { A = "` + strings.Repeat("x", 40<<10) + `" }`:  "build.images.shop-api.args.A: has 40960 bytes; the limit is 32768",
	} {
		t.Run(lines[:min(60, len(lines))], func(t *testing.T) {
			found := problems(t, withBuild(t, lines))
			require.Len(t, found, 1, found)
			require.Contains(t, found[0].Error(), want)
			require.GreaterOrEqual(t, found[0].Line, 5)
		})
	}
}

func TestABuildKeepsItsSettings(t *testing.T) {
	s := parse(t, withBuild(t, `containerfile = "../docker/api"
args = { A = "b" }
secrets = { a = { file = "../x" }, b = { environment = "B" } }
platforms = ["linux/amd64", "linux/arm64/v8"]
contexts = { lib = "../lib", base = "docker-image://r.example/base:v1" }
no_cache = true`))
	text, err := json.Marshal(s)
	require.NoError(t, err)
	var again servicedef.Service
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, *s, again)
	rendered, err := servicedef.Parse([]byte(s.TOML()), "shop.toml")
	require.NoError(t, err, s.TOML())
	require.Equal(t, s, rendered)
}

// A definition that was recorded with the name of a Containerfile has its hash.
func TestAContainerfileAloneIsAString(t *testing.T) {
	s := parse(t, base)
	text, err := json.Marshal(s.Build)
	require.NoError(t, err)
	require.JSONEq(t, `{"images": {"shop-api": "Containerfile"}}`, string(text))
	table := parse(t, withBuild(t, `containerfile = "Containerfile"`))
	require.Equal(t, s.Hash(), table.Hash())
	require.Empty(t, parse(t, withBuild(t, "")).Build.Images["shop-api"])
}

func TestTagsFromGit(t *testing.T) {
	image := func(text string) string {
		return edit(t, `"registry.example:5000/shop-api:v1"`, `"`+text+`"`)
	}
	for _, text := range []string{"registry.example:5000/shop-api:{git}", "registry.example/shop-api:v1-{git}-x"} {
		require.True(t, parse(t, image(text)).NeedsGit())
	}
	for text, want := range map[string]string{
		"registry.example/shop-api{git}":            "{git} must stand in the tag",
		"registry.example/{git}/shop-api:v1":        "{git} must stand in the tag",
		"registry.example/shop-api:{git}-{git}":     "only {git} may stand in a tag, once",
		"registry.example/shop-api:{sha}":           "only {git} may stand in a tag, once",
		"registry.example/shop-api:{git}@sha256:00": "{git} must stand in the tag",
		"registry.example/shop-web:{git}":           "[build.images] must say how shop-web is built",
		"registry.example/shop-api:{git":            "only {git} may stand in a tag, once",
	} {
		require.Contains(t, problems(t, image(text)).Error(), want, text)
	}

	s := parse(t, image("registry.example:5000/shop-api:v1-{git}"))
	const hash = "fedcba9876543210fedcba9876543210"
	source := servicedef.Source{Hash: hash, Commit: "1a2b3c4d5e6f7890", Subject: "Sell things"}
	resolved := s.Resolved(map[string]servicedef.Source{"shop-api": source})
	require.Equal(t, "registry.example:5000/shop-api:v1-fedcba9876543210", resolved.Components[0].Image)
	require.Equal(t, "registry.example:5000/shop-api:v1-{git}", s.Components[0].Image, "the definition stays as it is")
	require.NoError(t, resolved.Validate())
	require.Equal(t, &source, resolved.Source(resolved.Components[0].Image))
	require.Nil(t, resolved.Source("registry.example:5000/shop-api:v2"), "a tag that git did not give")
	require.Nil(t, resolved.Source("docker.io/library/postgres:17"))
	other := resolved
	other.Sources = map[string]servicedef.Source{"shop-api": {Hash: hash, Commit: "another"}}
	require.Equal(t, resolved.Hash(), other.Hash(), "another commit with the same sources is no change")
}
