package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheUnitsStartWorkers holds deploy/systemd to mcp's flags and, where there
// is a systemd to ask, to systemd's own check.
func TestTheUnitsStartWorkers(t *testing.T) {
	files, err := filepath.Glob("../../../deploy/systemd/*.service")
	require.NoError(t, err)
	require.Len(t, files, 5)
	users, err := filepath.Glob("../../../deploy/systemd/user/*.service")
	require.NoError(t, err)
	require.Len(t, users, 2)
	files = append(files, users...)
	dir := t.TempDir()
	for _, file := range files {
		unit, err := os.ReadFile(file)
		require.NoError(t, err)
		if filepath.Base(file) == "mcp-edge.service" {
			verifyUnit(t, filepath.Join(dir, "mcp-edge.service"), bytes.ReplaceAll(unit, []byte("/usr/local/bin/mcp-edge"), []byte("/bin/true")))
			continue // the module edge has the rest of its test
		}
		started := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/mcp (.*)$`).FindStringSubmatch(string(unit))
		require.NotNil(t, started, file)
		cmd, rest, err := commands().Find(strings.Fields(started[1]))
		require.NoError(t, err)
		require.Contains(t, []string{"worker", "gateway"}, cmd.Name())
		require.NoError(t, cmd.ParseFlags(rest), file)
		if cmd.Name() == "worker" {
			require.Contains(t, string(unit), "\nTimeoutStopSec=90s\n", "longer than a worker takes to end")
		}

		name := strings.ReplaceAll(filepath.Base(file), "@.", "@rift.")
		checked := bytes.ReplaceAll(unit, []byte("/usr/local/bin/mcp"), []byte("/bin/true")) // which is there
		verifyUnit(t, filepath.Join(dir, name), checked)
	}
}

// verifyUnit writes a unit, and has systemd check it where there is one.
func verifyUnit(t *testing.T, path string, unit []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, unit, 0o600))
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return
	}
	said, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.Empty(t, string(said))
}
