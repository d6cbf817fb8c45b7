package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
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
	require.NoError(t, os.Remove(filepath.Join(w.services, "tab.toml")), "only the live system has it now")

	w.completes(`^tab\ntab/app\n:36\n$`, "deploy", "tab")
	w.completes(`(?m)^local\tready$`, "node", "show", "")
	w.completes(`(?m)^1\tdeploy, succeeded, `, "rollback", "tab", "--to", "")
	w.completes(`(?m)^1\tdeploy, succeeded, `, "history", "tab", "")

	require.Zero(t, w.mcp("undeploy", "tab", "-y").code)
	w.completes(`(?m)^2\tundeploy`, "history", "tab", "")
	require.NotContains(t, w.mcp("__complete", "rollback", "tab", "--to", "").stdout, "undeploy", "nothing to go back to")
}

// An answer of the live system is offered again for a moment without a new query,
// until a command may have changed it.
func TestACompletionIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kept := w.byHeart("remembered")
	require.Contains(t, w.mcp("__complete", "history", "remembered", "").stdout, "77\tby heart")

	before := time.Now().Add(-time.Minute)
	require.NoError(t, os.Chtimes(kept, before, before))
	w.completes(`(?m)^1\tdeploy, succeeded, `, "history", "remembered", "")

	require.NoError(t, os.WriteFile(kept, []byte(`[{"Num`), 0o600))
	w.completes(`(?m)^1\tdeploy, succeeded, `, "history", "remembered", "")

	require.Zero(t, w.mcp("stop", "remembered").code)
	w.completes(`(?m)^2\tstop, `, "history", "remembered", "")
}

// An older answer is offered too, without a wait, and a process in the background
// queries the live system for the next press of Tab.
func TestACompletionIsRefreshedInTheBackground(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kept := w.byHeart("recalled")
	before := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(kept, before, before))

	offered, err := w.command("__complete", "history", "recalled", "").Output()
	require.NoError(t, err)
	require.Equal(t, "77\tby heart\n:36\n", string(offered))
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(kept)
		return err == nil && strings.Contains(string(text), "deploy, succeeded")
	}, time.Minute, 50*time.Millisecond)
}

// Where files have an answer, and none of the live system is kept yet, the first
// press of Tab offers the files' without a wait, and the next one both.
func TestACompletionBeginsWithWhatFilesSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("afield", w.service("afield", "v1", ""))
	w.deploy("afield")
	require.NoError(t, os.Remove(filepath.Join(w.services, "afield.toml")))
	w.define("athome", w.service("athome", "v1", ""))

	offers := func(line ...string) string {
		offered, err := w.command(append([]string{"__complete"}, line...)...).Output()
		require.NoError(t, err)
		return string(offered)
	}
	require.Equal(t, "athome\nathome/app\n:36\n", offers("deploy", "a"))
	require.Eventually(t, func() bool { return strings.Contains(offers("deploy", "a"), "afield\n") }, time.Minute, 100*time.Millisecond)
	require.Equal(t, w.node+"\n:36\n", offers("node", "show", ""))
	require.Eventually(t, func() bool { return strings.Contains(offers("node", "show", ""), w.node+"\tready\n") }, time.Minute, 100*time.Millisecond)
	require.Eventually(t, func() bool {
		_ = os.RemoveAll(w.cache()) // fails while another process writes there
		return strings.Contains(offers("deploy", "af"), "afield\n")
	}, time.Minute, 100*time.Millisecond, "no file has one of that name")
}

// byHeart deploys a service, and replaces the kept answer by a deployment that does
// not exist. It returns the file of that answer.
func (w *world) byHeart(service string) string {
	w.t.Helper()
	w.source("v1", "")
	w.define(service, w.service(service, "v1", ""))
	w.deploy(service)
	w.completes(`(?m)^1\tdeploy, succeeded, `, "history", service, "")
	kept, err := filepath.Glob(filepath.Join(w.cache(), "mcp", "completions", "*.json"))
	require.NoError(w.t, err)
	require.Len(w.t, kept, 1)
	require.NoError(w.t, os.WriteFile(kept[0], []byte(`[{"Number": 77, "Text": "by heart"}]`), 0o600))
	return kept[0]
}

// completes waits until a line is completed so: a busy system may not answer within
// the timeout of a completion.
func (w *world) completes(pattern string, line ...string) {
	w.t.Helper()
	want := regexp.MustCompile(pattern)
	var said reply
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if said = w.mcp(append([]string{"__complete"}, line...)...); want.MatchString(said.stdout) {
			return
		}
	}
	require.Regexp(w.t, want, said.stdout, "%v: %s", line, said)
}
