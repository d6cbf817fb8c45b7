package e2e

import (
	"os"
	"path/filepath"
	"regexp"
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

	w.completes(`^tab\ntab/app\n:36\n$`, "deploy", "tab")
	w.completes(`(?m)^local\tready$`, "node", "show", "")
	w.completes(`(?m)^1\tdeploy, succeeded, `, "rollback", "tab", "--to", "")
	w.completes(`(?m)^1\tdeploy, succeeded, `, "history", "tab", "")

	require.Zero(t, w.mcp("undeploy", "tab", "-y").code)
	w.completes(`(?m)^2\tundeploy`, "history", "tab", "")
	require.NotContains(t, w.mcp("__complete", "rollback", "tab", "--to", "").stdout, "undeploy", "nothing to go back to")
}

// completes waits until a line is completed so: a busy system may not answer in
// the moment that it is given.
func (w *world) completes(pattern string, line ...string) {
	w.t.Helper()
	want := regexp.MustCompile(pattern)
	require.Eventually(w.t, func() bool {
		return want.MatchString(w.mcp(append([]string{"__complete"}, line...)...).stdout)
	}, time.Minute, 100*time.Millisecond, "%v", line)
}
