package sources_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/sources"
	"github.com/metacircular/mcp/servicedef"
)

// workspace is a repository with a service in the directory shop.
type workspace struct {
	dir string
	servicedef.SourceQuery
}

// newWorkspace makes a repository with one commit.
func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	isolate(t)
	w := &workspace{dir: filepath.Join(t.TempDir(), "work space")}
	require.NoError(t, os.MkdirAll(w.dir, 0o755))
	w.SourceQuery = servicedef.SourceQuery{Image: "r.example/shop:{git}", Workspace: w.dir, Path: "shop"}
	w.git(t, "init", "--quiet", "--initial-branch=main")
	w.write(t, "shop/Containerfile", "FROM scratch\n")
	w.write(t, "shop/src/main.go", "package main\n")
	w.write(t, "web/index.html", "<html>\n")
	w.write(t, "lib/lib.go", "package lib\n")
	w.commit(t, "Sell things\n\nAnd more.")
	return w
}

// isolate makes git read no configuration of this machine.
func isolate(t *testing.T) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "gitconfig")
	require.NoError(t, os.WriteFile(config, []byte("[user]\nname = Tester\nemail = tester@example.org\n[protocol \"file\"]\nallow = always\n"), 0o600))
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("GIT_AUTHOR_DATE", "2026-02-03T04:05:06Z")
	t.Setenv("GIT_COMMITTER_DATE", "2026-02-03T04:05:06Z")
}

func (w *workspace) git(t *testing.T, args ...string) string {
	t.Helper()
	return gitIn(t, w.dir, args...)
}

func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %s: %s", strings.Join(args, " "), output)
	return strings.TrimSpace(string(output))
}

func (w *workspace) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(w.dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func (w *workspace) commit(t *testing.T, message string) {
	t.Helper()
	w.git(t, "add", "--all")
	w.git(t, "commit", "--quiet", "--allow-empty", "--message", message)
}

// read requires sources that can be read.
func (w *workspace) read(t *testing.T) servicedef.BuildSources {
	t.Helper()
	found, err := sources.Git{}.Read(t.Context(), w.SourceQuery)
	require.NoError(t, err)
	require.Len(t, found.Hash, 64)
	return found
}

// refused requires sources that cannot be read, and returns the error.
func (w *workspace) refused(t *testing.T) *fault.Error {
	t.Helper()
	_, err := sources.Git{}.Read(t.Context(), w.SourceQuery)
	require.Error(t, err)
	f := fault.Of(err)
	require.Equal(t, fault.Invalid, f.Kind, err)
	require.NotEmpty(t, f.Hint, err)
	require.True(t, strings.HasPrefix(f.Message, "find the tag of "+w.Image+": "), f.Message)
	return f
}
