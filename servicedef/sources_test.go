package servicedef_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedeftest"
)

const sourced = servicedeftest.Sources

// tree writes the definition and a workspace, and returns the directories.
func tree(t *testing.T, definition string, files map[string]string) (service *servicedef.Service, workspace string) {
	t.Helper()
	root := t.TempDir()
	workspace = filepath.Join(root, "src")
	for name, content := range files {
		path := filepath.Join(workspace, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	file := filepath.Join(root, "shop.toml")
	require.NoError(t, os.WriteFile(file, []byte(definition), 0o644))
	service, err := servicedef.Load(file)
	require.NoError(t, err)
	return service, workspace
}

func complete() map[string]string {
	return map[string]string{
		"shop/shared.env": "A=shared\nB=shared\nC=shared\nD=shared\nE=shared\nPORT=1\n", "shop/web.env": "A=web\nB=web\n",
		"shop/conf/web.conf": "listen 80;\n", "shop/web.bin": "\x00\xff",
	}
}

func TestSourcesTravelWithTheDefinition(t *testing.T) {
	service, workspace := tree(t, sourced, complete())
	read, err := service.ReadSources(workspace)
	require.NoError(t, err)
	web, db := read.Components[0], read.Components[1]
	require.Equal(t, map[string]string{"A": "definition", "B": "web", "C": "shared", "D": "shared"}, web.Env, "mcp sets PORT, and a secret E")
	require.Equal(t, map[string]string{"A": "shared", "B": "shared", "C": "shared", "D": "shared", "E": "shared", "PORT": "1"}, db.Env)
	require.Equal(t, []servicedef.File{
		{Target: "/etc/web.conf", Content: "listen 80;\n"}, {Target: "/etc/web.bin", Base64: "AP8="},
	}, web.Files)
	require.Empty(t, read.EnvFile)
	require.Empty(t, web.EnvFile)
	require.NotEmpty(t, service.EnvFile, "the definition that was read stays as it is")
	require.Equal(t, service.File, read.File)

	again, err := servicedef.Parse([]byte(read.TOML()), read.File)
	require.NoError(t, err)
	require.Equal(t, read, again)
	resolved, err := read.ReadSources("")
	require.NoError(t, err, "there is nothing left to read")
	require.Equal(t, read.Hash(), resolved.Hash())

	list := read.WithoutContents()
	require.Equal(t, read.Hash(), list.Hash())
	require.Empty(t, list.Components[0].Files[0].Content)
	require.Equal(t, "listen 80;\n", read.Components[0].Files[0].Content)
	require.ErrorContains(t, list.Validate(), "left out")
	require.Equal(t, read.Components[0].Settings(), list.Components[0].Settings())

	require.NoError(t, os.WriteFile(filepath.Join(workspace, "shop/conf/web.conf"), []byte("listen 81;\n"), 0o644))
	changed, err := service.ReadSources(workspace)
	require.NoError(t, err)
	require.NotEqual(t, read.Hash(), changed.Hash())
	require.NotEqual(t, read.Components[0].Settings()["files./etc/web.conf"], changed.Components[0].Settings()["files./etc/web.conf"])
}

func TestWhatIsNotAmongTheSourcesIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(t *testing.T, workspace string)
		at      string
		message string
	}{
		"a missing file":     {func(t *testing.T, w string) { require.NoError(t, os.Remove(w+"/shop/web.bin")) }, `source = "web.bin"`, "does not exist"},
		"a missing env_file": {func(t *testing.T, w string) { require.NoError(t, os.Remove(w+"/shop/web.env")) }, `env_file = "web.env"`, "does not exist"},
		"a link out of it":   {link("/etc/passwd", "shop/web.bin"), `source = "web.bin"`, "leads out of"},
		"a relative link":    {link("../../../outside", "shop/web.bin"), `source = "web.bin"`, "leads out of"},
		"a linked directory": {link("/etc", "shop/conf"), `source = "conf/web.conf"`, "leads out of"},
		"a directory": {func(t *testing.T, w string) {
			require.NoError(t, os.Remove(w+"/shop/web.bin"))
			require.NoError(t, os.Mkdir(w+"/shop/web.bin", 0o755))
		}, `source = "web.bin"`, "no regular file"},
		"a file of 10 MB":        {write("shop/web.bin", strings.Repeat("x", 10<<20)), `source = "web.bin"`, "10240 KiB; the limit is 256 KiB"},
		"no variable":            {write("shop/web.env", "A=1\n\nwhat is this\n"), `env_file = "web.env"`, "line 3: must be NAME=VALUE"},
		"an open quote":          {write("shop/web.env", "A='1\n"), `env_file = "web.env"`, "closing '"},
		"a variable of a route":  {write("shop/web.env", "PORT_HTTP=80\n"), `env_file = "web.env"`, "port of route http"},
		"NUL in a variable":      {write("shop/web.env", "A=\x00\n"), `env_file = "web.env"`, "NUL"},
		"bytes that are no text": {write("shop/web.env", "A=\xff\n"), `env_file = "web.env"`, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			service, workspace := tree(t, sourced, complete())
			test.change(t, workspace)
			_, err := service.ReadSources(workspace)
			var found servicedef.Errors
			require.ErrorAs(t, err, &found)
			require.Len(t, found, 1, "%v", found)
			require.Contains(t, found[0].Message, test.message)
			require.Equal(t, lineOf(t, sourced, test.at), found[0].Line)
			require.Equal(t, service.File, found[0].File)
		})
	}
	t.Run("without a workspace", func(t *testing.T) {
		service, _ := tree(t, sourced, complete())
		_, err := service.ReadSources("")
		require.ErrorContains(t, err, "shop.toml:4: env_file: is among the sources, which mcp.toml does not name")
		_, err = service.ReadSources(filepath.Join(t.TempDir(), "none"))
		require.ErrorContains(t, err, "cannot be opened")
	})
	t.Run("a path that is a link out of the workspace", func(t *testing.T) {
		service, workspace := tree(t, sourced, complete())
		require.NoError(t, os.Rename(workspace+"/shop", workspace+"/../elsewhere"))
		require.NoError(t, os.Symlink("../elsewhere", workspace+"/shop"))
		_, err := service.ReadSources(workspace)
		require.ErrorContains(t, err, "cannot be opened")
	})
	t.Run("more than travels", func(t *testing.T) {
		definition, files := sourced, complete()
		for _, n := range []string{"1", "2", "3", "4"} {
			definition += "[[components.files]]\ntarget = \"/" + n + "\"\nsource = \"large\"\n"
		}
		files["shop/large"] = strings.Repeat("x", 200<<10)
		service, workspace := tree(t, definition, files)
		_, err := service.ReadSources(workspace)
		require.ErrorContains(t, err, "the limit is 768 KiB")
	})
}

func link(target, name string) func(*testing.T, string) {
	return func(t *testing.T, workspace string) {
		t.Helper()
		require.NoError(t, os.RemoveAll(filepath.Join(workspace, name)))
		require.NoError(t, os.Symlink(target, filepath.Join(workspace, name)))
	}
}

func write(name, content string) func(*testing.T, string) {
	return func(t *testing.T, workspace string) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(workspace, name), []byte(content), 0o644))
	}
}

func TestStepsWithoutAComponentHaveTheSharedFiles(t *testing.T) {
	service, workspace := tree(t, sourced+"[[steps]]\nname = \"migrate\"\nimage = \"r.example/tool:v1\"\ncmd = [\"up\"]\n", complete())
	read, err := service.ReadSources(workspace)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": "shared", "B": "shared", "C": "shared", "D": "shared", "E": "shared"}, read.StepComponent(read.Steps[0]).Env)
	again, err := servicedef.Parse([]byte(read.TOML()), read.File)
	require.NoError(t, err)
	require.Equal(t, read, again)
}

// A link to another file of the sources is one of the sources.
func TestALinkInsideTheSourcesIsRead(t *testing.T) {
	service, workspace := tree(t, sourced, complete())
	link("conf/web.conf", "shop/web.bin")(t, workspace)
	read, err := service.ReadSources(workspace)
	require.NoError(t, err)
	require.Equal(t, "listen 80;\n", read.Components[0].Files[1].Content)
}

func TestEnvFilesHaveComposesNotation(t *testing.T) {
	service, workspace := tree(t, "name = \"s\"\nnode = \"n\"\nenv_file = \"e\"\n[[components]]\nname = \"c\"\nimage = \"r.example/c:1\"\n", map[string]string{
		"e": "\ufeff# a comment\r\n\r\n  A = plain value # comment\nexport B='single $x # kept'\nC=\"double\\n\\\"q\\\"\\d\" # comment\nD=\nE=a#b\nF='two\nlines'\nG=\"$HOME\"\nH=x=y",
	})
	read, err := service.ReadSources(workspace)
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"A": "plain value", "B": "single $x # kept", "C": "double\n\"q\"\\d", "D": "", "E": "a#b", "F": "two\nlines", "G": "$HOME", "H": "x=y",
	}, read.Components[0].Env)
}
