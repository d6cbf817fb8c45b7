package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	fence = regexp.MustCompile("(?s)```([a-z]+)\n(.*?)```")
	named = regexp.MustCompile(`^(?://|#) (\S+/\S+)\n`)
)

// TestGettingStarted does what the page says: it writes the files whose first
// line names them, and runs the commands of its consoles, on a platform that
// has been started otherwise. Of what they print "…" may be anything, and
// figures any.
func TestGettingStarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.workspace = w.dir
	w.buildOn(shared.platform.Info().Podman)
	self, err := os.Executable()
	require.NoError(t, err)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(self, filepath.Join(bin, "mcp")))
	page, err := os.ReadFile("../../docs/getting-started.md")
	require.NoError(t, err)
	text := strings.ReplaceAll(string(page), "127.0.0.1:5000", w.registry)
	ran := 0
	for _, block := range fence.FindAllStringSubmatch(text, -1) {
		language, content := block[1], block[2]
		if file := named.FindStringSubmatch(content); file != nil {
			path := filepath.Join(w.dir, file[1])
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		} else if language == "console" {
			ran += w.console(content, bin)
		}
	}
	require.Greater(t, ran, 10)
}

// console runs the commands of a block one after the other, checks what they
// print, and is how many they were.
func (w *world) console(block, bin string) int {
	w.t.Helper()
	commands := regexp.MustCompile(`(?m)^\$ `).Split(block, -1)[1:]
	for _, one := range commands {
		line, want, _ := strings.Cut(one, "\n")
		cmd := exec.CommandContext(w.t.Context(), "bash", "-o", "pipefail", "-c", line)
		cmd.Dir = w.dir
		for _, variable := range os.Environ() {
			if name, _, _ := strings.Cut(variable, "="); w.getenv(name) != "" {
				cmd.Env = append(cmd.Env, variable)
			}
		}
		cmd.Env = append(cmd.Env, "PATH="+bin+":"+os.Getenv("PATH"), "MCP_CONFIG="+w.config(), mcpVariable+"=1")
		said, err := cmd.CombinedOutput()
		require.NoError(w.t, err, "%s\n%s", line, said)
		require.Regexp(w.t, pattern(want), loose(string(said)), line)
	}
	return len(commands)
}

// loose is text without figures, and with single spaces.
func loose(text string) string {
	text = regexp.MustCompile(`\d[\d.:-]*(ms|s)?`).ReplaceAllString(text, "0")
	return regexp.MustCompile(`[ \t]+`).ReplaceAllString(text, " ")
}

// pattern is what a console shows, as a regular expression.
func pattern(shown string) string {
	quoted := regexp.QuoteMeta(strings.TrimSpace(loose(shown)))
	quoted = regexp.MustCompile(`(?m)^…\n`).ReplaceAllString(quoted, "(.*\n)?") // whole lines, or none
	return fmt.Sprintf(`(?s)^\s*%s\s*$`, strings.ReplaceAll(quoted, "…", ".*"))
}
