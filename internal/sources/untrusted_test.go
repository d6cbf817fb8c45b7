package sources_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/sources"
)

func TestNothingOfTheRepositoryIsExecuted(t *testing.T) {
	w := newWorkspace(t)
	canary := filepath.Join(t.TempDir(), "canary")
	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho \"$0 $*\" >> "+canary+"\n"), 0o755))
	hooks := filepath.Join(w.dir, ".git", "hooks")
	for _, hook := range []string{"post-index-change", "pre-commit", "post-checkout", "reference-transaction"} {
		require.NoError(t, os.MkdirAll(hooks, 0o755))
		require.NoError(t, os.Symlink(script, filepath.Join(hooks, hook)))
	}
	for _, setting := range [][2]string{
		{"core.fsmonitor", script}, {"core.hooksPath", hooks}, {"core.pager", script}, {"core.editor", script},
		{"core.sshCommand", script}, {"diff.external", script}, {"diff.x.textconv", script}, {"gpg.program", script},
		{"log.showSignature", "true"}, {"core.alternateRefsCommand", script}, {"core.askPass", script},
		{"credential.helper", script}, {"remote.origin.url", "ext::" + script}, {"remote.origin.promisor", "true"},
		{"uploadpack.packObjectsHook", script}, {"trace2.eventTarget", canary}, {"core.gitProxy", script},
	} {
		w.git(t, "config", setting[0], setting[1])
	}
	w.write(t, "shop/.gitattributes", "* diff=x merge=x\n")
	w.write(t, "shop/src/main.go", "changed\n")
	_ = os.Remove(canary) // git config itself may have run some
	w.Dirty = true
	found := w.read(t)
	require.Empty(t, found.Origin)
	_, err := sources.Git{}.Describe(t.Context(), w.SourceQuery)
	require.NoError(t, err)
	require.NoFileExists(t, canary)

	w.git(t, "-c", "core.fsmonitor="+script, "status")
	require.FileExists(t, canary, "the script can be run")
}

func TestTheFilterOfASubmoduleIsNotExecuted(t *testing.T) {
	w := newWorkspace(t)
	other := newWorkspace(t)
	w.git(t, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other.dir, "shop/other")
	w.commit(t, "Add a submodule")
	canary := filepath.Join(t.TempDir(), "canary")
	sub := filepath.Join(w.dir, "shop/other")
	gitIn(t, sub, "config", "filter.x.clean", "touch "+canary)
	require.NoError(t, os.WriteFile(filepath.Join(sub, ".gitattributes"), []byte("* filter=x\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(sub, "lib/lib.go"), []byte("changed!\n"), 0o600))
	w.Dirty = true
	require.Contains(t, w.refused(t).Message, "runs a program on its files")
	require.NoFileExists(t, canary)
}

func TestLFSOfTheRepositoryIsAccepted(t *testing.T) {
	w := newWorkspace(t)
	before := w.read(t)
	w.git(t, "config", "filter.lfs.clean", "git-lfs clean -- %f")
	w.git(t, "config", "filter.lfs.process", "git-lfs filter-process")
	require.Equal(t, before.Hash, w.read(t).Hash)
}

func TestLineEndingsAreNoChange(t *testing.T) {
	w := newWorkspace(t)
	w.write(t, ".gitattributes", "*.txt text eol=crlf\n")
	w.write(t, "shop/a.txt", "one\r\ntwo\r\n")
	w.commit(t, "Add a text of Windows")
	before := w.read(t)
	now := filepath.Join(w.dir, "shop/a.txt")
	require.NoError(t, os.WriteFile(now, []byte("one\r\ntwo\r\n"), 0o600)) // git has to read it again
	require.Equal(t, before.Hash, w.read(t).Hash)
}

func TestTheSubjectIsInput(t *testing.T) {
	w := newWorkspace(t)
	for message, want := range map[string]string{
		"Red \x1b[31mtext\x07 \u202eleft": "Red [31mtext left",
		"Two\nlines\n\nbody":              "Two lines",
		strings.Repeat("long ", 100):      strings.TrimSpace(strings.Repeat("long ", 23)) + " lo…",
		"  spaces   \t between  ":         "spaces between",
		strings.Repeat("日本", 100):         strings.Repeat("日本", 19) + "日…",
	} {
		cmd := exec.CommandContext(t.Context(), "git", "commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "--message", message)
		cmd.Dir = w.dir
		require.NoError(t, cmd.Run())
		require.Equal(t, want, w.read(t).Subject)
		require.LessOrEqual(t, len(w.read(t).Subject), 120)
	}
	cmd := exec.CommandContext(t.Context(), "git", "commit", "--quiet", "--allow-empty", "--allow-empty-message", "--message", "")
	cmd.Dir = w.dir
	require.NoError(t, cmd.Run())
	require.Empty(t, w.read(t).Subject)
}

func TestTheOriginHasNoCredentials(t *testing.T) {
	w := newWorkspace(t)
	w.git(t, "remote", "add", "origin", "x")
	for url, want := range map[string]string{
		"https://ann:token@git.example/shop.git?a=b#c": "https://git.example/shop.git",
		"https://git.example/shop.git":                 "https://git.example/shop.git",
		"ssh://git:secret@git.example:22/shop.git":     "ssh://git@git.example:22/shop.git",
		"git@git.example:team/shop.git":                "git@git.example:team/shop.git",
		"/srv/git/shop.git":                            "",
		"file:///srv/git/shop.git":                     "",
		"../shop.git":                                  "",
		"ext::sh -c x":                                 "",
	} {
		w.git(t, "config", "remote.origin.url", url)
		found, err := sources.Git{}.Describe(t.Context(), w.SourceQuery)
		require.NoError(t, err)
		require.Equal(t, want, found.Origin, url)
		labels := found.Labels()
		require.Equal(t, found.Commit, labels["org.opencontainers.image.revision"])
		require.Equal(t, "2026-02-03T04:05:06Z", labels["org.opencontainers.image.created"])
	}
}
