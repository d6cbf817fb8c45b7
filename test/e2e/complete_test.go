package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatRunsIsCompleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("tab", w.service("tab", "v1", ""))
	w.deploy("tab")
	require.NoError(t, os.Remove(filepath.Join(w.services, "tab.toml")), "the live system alone knows it now")

	began := time.Now()
	require.Equal(t, "tab\ntab/app\n:36\n", w.mcp("__complete", "deploy", "tab").stdout)
	require.Less(t, time.Since(began), time.Second)
	require.Contains(t, w.mcp("__complete", "node", "show", "").stdout, "local\tready\n")
	require.Regexp(t, `(?m)^1\tdeploy, succeeded, `, w.mcp("__complete", "rollback", "tab", "--to", "").stdout)
	require.Regexp(t, `(?m)^1\tdeploy, succeeded, `, w.mcp("__complete", "history", "tab", "").stdout)

	require.Zero(t, w.mcp("undeploy", "tab", "-y").code)
	require.Contains(t, w.mcp("__complete", "history", "tab", "").stdout, "2\tundeploy")
	require.NotContains(t, w.mcp("__complete", "rollback", "tab", "--to", "").stdout, "undeploy", "nothing to go back to")
}
