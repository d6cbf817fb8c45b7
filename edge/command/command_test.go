package command_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/command"
)

// run runs mcp-edge, in an environment of pairs alone.
func run(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errors bytes.Buffer
	app := command.App{Stdout: &out, Stderr: &errors, Getenv: func(name string) string { return env[name] }}
	code = app.Run(t.Context(), args)
	return code, out.String(), errors.String()
}

func TestKey(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	code, first, stderr := run(t, nil, "key", "--data", data)
	require.Zero(t, code, stderr)
	require.Regexp(t, `^key          age1[a-z0-9]+\nfingerprint  ([a-z2-7]{4}-){7}[a-z2-7]{4}\n$`, first)
	_, second, _ := run(t, map[string]string{"MCP_EDGE_DATA": data}, "key")
	require.Equal(t, first, second)

	t.Run("a directory that others may write to is refused", func(t *testing.T) {
		open := t.TempDir()
		require.NoError(t, os.Chmod(open, 0o777))
		code, _, stderr := run(t, nil, "key", "--data", open)
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "others may write to "+open)
	})
}

func TestVersion(t *testing.T) {
	code, stdout, _ := run(t, nil, "version")
	require.Zero(t, code)
	require.Regexp(t, `^mcp-edge dev, built with go1\S+ for \w+/\w+\n$`, stdout)
}

func TestRefusals(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "mcp.toml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	nothing := file("")
	readable := file("")
	require.NoError(t, os.Chmod(readable, 0o644))
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"an unknown flag", []string{"--nme", "x"}, "unknown flag"},
		{"an argument", []string{"front"}, "unknown command"},
		{"no name", []string{"--config", nothing}, "no name: give --name NAME, or set [edge] name in mcp.toml"},
		{"a name that is none", []string{"--config", nothing, "--name", "Front!"}, "edge.name: must consist of a-z, 0-9 and -"},
		{"a log format that is none", []string{"--config", nothing, "--log-format", "xml"}, "--log-format is text or json"},
		{"a certificate that is missing", []string{"--config", file("[edge]\nname = \"a\"\ncertificates = [\"none.pem\"]")}, "read edge.certificates"},
		{"a certificate that others can read", []string{"--config", file("[edge]\nname = \"a\"\ncertificates = [\"" + readable + "\"]")}, "other users can read it"},
		{"a provider of DNS that is none", []string{"--config", file("[edge]\nname = \"a\"\n[edge.acme]\ndns = \"none\"")}, "is not a known provider of DNS"},
		{"a root that is none", []string{"--config", file("[edge]\nname = \"a\"\n[edge.acme]\nroot = \"" + nothing + "\"")}, "holds no certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, _, stderr := run(t, nil, test.args...)
			require.Equal(t, 2, code, stderr)
			require.Contains(t, stderr, test.want)
		})
	}
}

// TestTheUnitStartsAnEdge holds the systemd unit to mcp-edge's flags.
func TestTheUnitStartsAnEdge(t *testing.T) {
	unit, err := os.ReadFile("../../deploy/systemd/mcp-edge.service")
	require.NoError(t, err)
	started := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/mcp-edge (.*)$`).FindSubmatch(unit)
	require.NotNil(t, started)
	// Its flags are understood: it gets as far as the name, which there is none of.
	config := filepath.Join(t.TempDir(), "mcp.toml")
	require.NoError(t, os.WriteFile(config, nil, 0o600))
	code, _, stderr := run(t, nil, append(strings.Fields(string(started[1])), "--config", config)...)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "no name")
	require.Contains(t, string(unit), "\nStateDirectory=mcp-edge\n", "which is --data")
}
