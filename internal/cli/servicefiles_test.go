package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
	"github.com/metacircular/mcp/test/printed"
)

// services is a services directory with one definition in it, and the
// environment that names it.
func services(t *testing.T) (dir string, env map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	dir = t.TempDir()
	write(t, filepath.Join(dir, "shop.toml"), definition("shop", "api"))
	return dir, map[string]string{"MCP_SERVICES": dir, "MCP_NODE_NAME": "rift", "MCP_IMAGE_REGISTRY_INSECURE": "r.example:5000"}
}

// reads is the text of a file.
func reads(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func TestServiceList(t *testing.T) {
	dir, env := services(t)
	got := mcp(t.Context(), t, env, "service", "list")
	require.Zero(t, got.code, got)
	require.Regexp(t, `shop +rift +yes +api +- +`+dir+`/shop.toml`, got.stdout)

	write(t, filepath.Join(dir, "broken.toml"), "name = 1")
	got = mcp(t.Context(), t, env, "service", "list", "--json")
	require.Equal(t, 2, got.code)
	var list []struct {
		Name, Node, File string
		Active           bool
		Components       []string
	}
	decode(t, got.stdout, &list)
	require.Len(t, list, 1)
	require.Equal(t, []string{"api"}, list[0].Components)
	require.Contains(t, got.stderr, "broken.toml:1: name")
}

func TestServiceShowFillsInWhatIsLeftToDefaults(t *testing.T) {
	_, env := services(t)
	got := mcp(t.Context(), t, env, "service", "show", "shop")
	require.Zero(t, got.code, got)
	require.Contains(t, got.stdout, `restart = "unless-stopped"`)
	shown, err := servicedef.Parse([]byte(got.stdout), "shown")
	require.NoError(t, err)
	var whole servicedef.Service
	decode(t, mcp(t.Context(), t, env, "service", "show", "shop", "--json").stdout, &whole)
	whole.File = "shown"
	require.Equal(t, whole, *shown)
	near := mcp(t.Context(), t, env, "service", "show", "shpo")
	require.Equal(t, 2, near.code)
	require.Contains(t, near.stderr, "did you mean shop?")
}

func TestServiceNewWritesWhatIsValidAndOverNothing(t *testing.T) {
	dir, env := services(t)
	for name, flags := range map[string][]string{
		"plain": nil, "mapped": {"--port", "8080"}, "built": {"--containerfile", "Containerfile", "--node", "orion", "--image", "r.example/x/built:v2"},
	} {
		got := mcp(t.Context(), t, env, append([]string{"service", "new", name}, flags...)...)
		require.Zero(t, got.code, got)
		require.Equal(t, filepath.Join(dir, name+".toml")+"\n", got.stdout)
		require.Zero(t, mcp(t.Context(), t, env, "service", "check").code)
	}
	defined, err := servicedir.Read(dir)
	require.NoError(t, err)
	built, err := defined.Find("built")
	require.NoError(t, err)
	require.Equal(t, "orion", built.Node)
	_, builds := built.ImageBuild("r.example/x/built:v2")
	require.True(t, builds)

	before := reads(t, filepath.Join(dir, "shop.toml"))
	for _, line := range [][]string{
		{"service", "new"}, {"service", "new", "shop"}, {"service", "new", "Bad_Name"}, {"service", "new", "x", "--port", "70000"}, {"service", "new", "../x"},
	} {
		got := mcp(t.Context(), t, env, line...)
		require.Equal(t, 2, got.code, got)
	}
	require.Equal(t, before, reads(t, filepath.Join(dir, "shop.toml")))
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 4)
}

// edits runs mcp service edit with a shell command as the editor.
func edits(t *testing.T, env map[string]string, editor, answers string) outcome {
	t.Helper()
	env["EDITOR"] = writeScript(t, editor)
	var stdout, stderr printed.Text
	app := &cli.App{
		Stdout: &stdout, Stderr: &stderr, Stdin: strings.NewReader(answers),
		Interactive: func() bool { return answers != "" }, Getenv: func(name string) string { return env[name] },
	}
	code := app.Run(t.Context(), []string{"service", "edit", "shop"})
	return outcome{code, stdout.String(), stderr.String()}
}

func writeScript(t *testing.T, text string) string {
	t.Helper()
	return "sh " + write(t, filepath.Join(t.TempDir(), "editor"), text)
}

func TestServiceEdit(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir, env := services(t)
	path := filepath.Join(dir, "shop.toml")
	before := reads(t, path)
	copies := func() []string {
		found, err := filepath.Glob(filepath.Join(os.TempDir(), "mcp-shop-*.toml"))
		require.NoError(t, err)
		for _, file := range found {
			t.Cleanup(func() { _ = os.Remove(file) })
		}
		return found
	}

	t.Run("saves what is sound", func(t *testing.T) {
		require.NoError(t, os.Chmod(path, 0o640))
		got := edits(t, env, `sed -i s/rift/orion/ "$1"`, "")
		require.Zero(t, got.code, got)
		require.Equal(t, strings.Replace(before, "rift", "orion", 1), reads(t, path))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
		require.Empty(t, copies())
	})

	before = reads(t, path)
	t.Run("leaves what has not changed", func(t *testing.T) {
		got := edits(t, env, `:`, "")
		require.Zero(t, got.code, got)
		require.Contains(t, got.stdout, "is unchanged")
		require.Empty(t, copies())
	})

	for name, test := range map[string]struct{ editor, want string }{
		"what is wrong":              {`echo 'imagge = 1' >> "$1"`, "imagge: unknown key"},
		"another service":            {`sed -i 's/"shop"/"other"/' "$1"`, "cannot become that of other"},
		"what the editor has failed": {`echo '# more' >> "$1"; exit 3`, "exit status 3"},
		"changes made meanwhile":     {`echo '# mine' >> "$1"; echo '# theirs' >> ` + path, "has changed meanwhile"},
	} {
		t.Run("does not save "+name+", and names the copy", func(t *testing.T) {
			t.Cleanup(func() { write(t, path, before) })
			got := edits(t, env, test.editor, "")
			require.Equal(t, 2, got.code, got)
			require.Contains(t, got.stderr, test.want)
			kept := copies()
			require.Len(t, kept, 1)
			require.Contains(t, got.stderr, "your copy is "+kept[0])
			require.NoError(t, os.Remove(kept[0]))
			require.NotContains(t, reads(t, path), "mine")
		})
	}

	t.Run("offers to mend a mistake", func(t *testing.T) {
		got := edits(t, env, `if grep -q imagge "$1"; then sed -i /imagge/d "$1"; echo '# mended' >> "$1"; else echo 'imagge = 1' >> "$1"; fi`, "y\n")
		require.Zero(t, got.code, got)
		require.Contains(t, got.stderr, "Edit it again?")
		require.Contains(t, reads(t, path), "# mended")
		require.Empty(t, copies())
	})
}

func TestConfigShowTellsWhereEachSettingComesFrom(t *testing.T) {
	t.Chdir(t.TempDir())
	file := write(t, "mcp.toml", `
		deadline = "1m"
		[temporal]
		address = "temporal:7233"
		[postgres]
		url = "postgres://mcp:hunter2@db/mcp"
		[alerts]
		webhook = "https://hooks.example/T0/s3cret"`)
	env := map[string]string{"MCP_NODE_NAME": "rift", "TEMPORAL_NAMESPACE": "prod"}
	got := mcp(t.Context(), t, env, "config", "show", "--config", file)
	require.Zero(t, got.code, got)
	for _, line := range []string{
		`deadline +1m0s +file`, `node\.name +rift +\$MCP_NODE_NAME`, `ports\.low +10000 +default`,
		`temporal\.address +temporal:7233 +file`, `temporal\.namespace +prod +\$TEMPORAL_NAMESPACE`,
		`postgres\.url +postgres://mcp:xxxxx@db/mcp +file`, `alerts\.webhook +https://hooks\.example/… +file`,
	} {
		require.Regexp(t, line, got.stdout)
	}
	require.NotContains(t, got.stdout, "hunter2")
	require.NotContains(t, got.stdout, "s3cret")
	asked := mcp(t.Context(), t, env, "config", "show", "--config", file, "--json")
	var shown struct {
		File     string
		Settings []struct{ Key, Value, Source string }
	}
	decode(t, asked.stdout, &shown)
	require.True(t, filepath.IsAbs(shown.File))
	require.NotContains(t, asked.stdout, "hunter2")
	for _, s := range shown.Settings {
		require.NotEmpty(t, s.Source, s.Key)
	}
}
