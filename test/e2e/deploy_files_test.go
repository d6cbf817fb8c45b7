package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

func TestFilesTravelWithTheRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	put := func(name, content string) {
		path := filepath.Join(w.workspace, "src", name)
		require.NoError(t, os.RemoveAll(path))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	// mounted is the file on the node that the container has, and its content.
	mounted := func() (path, content string) {
		path = strings.TrimSpace(w.podman("inspect", "--format", `{{range .Mounts}}{{if eq .Destination "/etc/app.conf"}}{{.Source}}{{end}}{{end}}`, "filed-app"))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return path, string(text)
	}
	put("app.env", "VERSION=of-a-file # the program answers with it\n")
	put("conf/app.conf", "one\n")
	const keys = `env_file = "app.env"
[[components.files]]
target = "/etc/app.conf"
source = "conf/app.conf"
mode = "0440"`
	w.define("filed", w.service("filed", "v1", keys))
	result := w.deploy("filed")
	t.Cleanup(func() { w.mcp("undeploy", "filed", "-y") })
	require.Equal(t, "of-a-file", w.fetch(result.Components[0].Ports["http"]))
	first, content := mounted()
	require.Equal(t, "one\n", content)
	require.Equal(t, workflows.Unchanged, w.deploy("filed").Outcome)

	put("conf/app.conf", "two\n")
	r := w.mcp("plan", "filed")
	require.Contains(t, r.stdout, "files./etc/app.conf")
	require.Equal(t, workflows.Succeeded, w.deploy("filed").Outcome)
	_, content = mounted()
	require.Equal(t, "two\n", content)

	require.Zero(t, w.mcp("rollback", "filed", "--wait").code)
	again, content := mounted()
	require.Equal(t, "one\n", content, "the release has it, whatever the sources have now")
	require.Equal(t, first, again)

	put("app.env", "VERSION=changed\n")
	require.Contains(t, w.mcp("plan", "filed").stdout, "env.VERSION")

	require.NoError(t, os.Remove(filepath.Join(w.workspace, "src/conf/app.conf")))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(w.workspace, "src/conf/app.conf")))
	r = w.mcp("deploy", "filed")
	require.Equal(t, 2, r.code, r)
	require.Regexp(t, `filed\.toml:\d+: components\[0\]\.files\[0\]\.source: .* leads out of`, r.stderr)
	put("conf/app.conf", strings.Repeat("x", 10<<20))
	require.Contains(t, w.mcp("service", "check", filepath.Join(w.services, "filed.toml")).stdout, "10240 KiB; the limit is 256 KiB")
	put("conf/app.conf", "three\n")

	w.define("filed", w.service("filed", "v1", "gpus = \"all\"\n"+keys))
	r = w.mcp("deploy", "filed", "--json")
	require.Equal(t, 1, r.code, r)
	var refused workflows.Result
	r.decode(t, &refused)
	require.Equal(t, fault.Invalid, refused.Error.Kind, r)
	require.Contains(t, refused.Error.Message, "component app sets gpus, and the engine of node "+w.node+" has no description of the device nvidia.com/gpu=all")
	require.Contains(t, refused.Error.Hint, "nvidia-ctk")
	require.False(t, w.summary(refused.WorkflowID).touched())

	require.Zero(t, w.mcp("undeploy", "filed", "-y").code)
	require.NoFileExists(t, first)
}
