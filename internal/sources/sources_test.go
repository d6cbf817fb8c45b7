package sources_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

func TestTheHashIsThatOfWhatEntersTheBuild(t *testing.T) {
	w := newWorkspace(t)
	first := w.read(t)
	require.Equal(t, w.git(t, "rev-parse", "HEAD"), first.Commit)
	require.Equal(t, "Sell things", first.Subject)
	require.False(t, first.Dirty)
	require.Equal(t, int64(1770091506), first.Created.Unix())
	require.True(t, first.Only("src/main.go"))
	require.True(t, first.Only("src"))
	require.False(t, first.Only("other"))

	w.write(t, "web/index.html", "<html>changed\n")
	require.Equal(t, first.Hash, w.read(t).Hash, "a change elsewhere, not committed")
	w.commit(t, "Change the web")
	again := w.read(t)
	require.Equal(t, first.Hash, again.Hash, "a change elsewhere")
	require.Equal(t, "Change the web", again.Subject)

	w.write(t, "shop/src/main.go", "package main // changed\n")
	w.commit(t, "Change the shop")
	second := w.read(t)
	require.NotEqual(t, first.Hash, second.Hash)
	w.git(t, "revert", "--no-edit", "HEAD")
	require.Equal(t, first.Hash, w.read(t).Hash, "the same content again")

	for name, change := range map[string]func(b *servicedef.ImageBuild){
		"an argument":      func(b *servicedef.ImageBuild) { b.Args = map[string]string{"A": "b"} },
		"the target":       func(b *servicedef.ImageBuild) { b.Target = "first" },
		"a platform":       func(b *servicedef.ImageBuild) { b.Platforms = []string{"linux/arm64"} },
		"a label":          func(b *servicedef.ImageBuild) { b.Labels = map[string]string{"a": "b"} },
		"a Containerfile":  func(b *servicedef.ImageBuild) { b.Containerfile = "src/main.go" },
		"the id of secret": func(b *servicedef.ImageBuild) { b.Secrets = map[string]servicedef.BuildSecret{"a": {File: "/b"}} },
		"a context":        func(b *servicedef.ImageBuild) { b.Contexts = map[string]string{"lib": "../lib"} },
		"an image":         func(b *servicedef.ImageBuild) { b.Contexts = map[string]string{"lib": "docker-image://r.example/x:v1"} },
		"the directory":    func(b *servicedef.ImageBuild) { b.Context = "src" },
	} {
		t.Run(name+" changes it", func(t *testing.T) {
			other := *w
			change(&other.Build)
			require.NotEqual(t, first.Hash, other.read(t).Hash)
		})
	}
	for name, change := range map[string]func(b *servicedef.ImageBuild){
		"a cache": func(b *servicedef.ImageBuild) {
			b.CacheFrom, b.CacheTo = []string{"r.example/c"}, []string{"r.example/c"}
		},
		"to build without cache": func(b *servicedef.ImageBuild) { b.NoCache = true },
	} {
		t.Run(name+" does not", func(t *testing.T) {
			other := *w
			change(&other.Build)
			require.Equal(t, first.Hash, other.read(t).Hash)
		})
	}
}

func TestWhatIsOutsideTheDirectoryButEntersTheBuild(t *testing.T) {
	w := newWorkspace(t)
	w.write(t, "docker/shop.Containerfile", "FROM scratch\n")
	w.commit(t, "Add a Containerfile")
	w.Build = servicedef.ImageBuild{Containerfile: "../docker/shop.Containerfile", Contexts: map[string]string{"lib": "../lib"}}
	first := w.read(t)
	require.True(t, first.Contexts["lib"]("lib.go"))

	w.write(t, "docker/other", "x")
	w.commit(t, "Change what does not enter it")
	require.Equal(t, first.Hash, w.read(t).Hash)
	for _, file := range []string{"docker/shop.Containerfile", "lib/lib.go"} {
		before := w.read(t).Hash
		w.write(t, file, "changed\n")
		require.Contains(t, w.refused(t).Message, file)
		w.Dirty = true
		dirty := w.read(t)
		require.True(t, dirty.Dirty)
		require.NotEqual(t, before, dirty.Hash)
		w.Dirty = false
		w.commit(t, "Change "+file)
		require.Equal(t, dirty.Hash, w.read(t).Hash, "the content is the same")
	}
}

func TestDirtySources(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, w *workspace)
		named  string
		// has and lacks are files that the build then has and lacks.
		has, lacks string
	}{
		"a changed file":  {func(t *testing.T, w *workspace) { w.write(t, "shop/src/main.go", "changed\n") }, "shop/src/main.go", "src/main.go", "x"},
		"a new file":      {func(t *testing.T, w *workspace) { w.write(t, "shop/new file.txt", "new\n") }, "shop/new file.txt", "new file.txt", "x"},
		"a new directory": {func(t *testing.T, w *workspace) { w.write(t, "shop/new/a.txt", "new\n") }, "shop/new/", "new/a.txt", "x"},
		"a staged file":   {func(t *testing.T, w *workspace) { w.write(t, "shop/s", "s\n"); w.git(t, "add", "shop/s") }, "shop/s", "s", "x"},
		"a file without content": {func(t *testing.T, w *workspace) {
			require.NoError(t, os.Remove(filepath.Join(w.dir, "shop/src/main.go")))
		}, "shop/src/main.go", "Containerfile", "src/main.go"},
		"a file with a line feed": {func(t *testing.T, w *workspace) { w.write(t, "shop/a\n\x1b[31mb", "x") }, "shop/a [31mb", "a\n\x1b[31mb", "x"},
		"a mode": {func(t *testing.T, w *workspace) {
			require.NoError(t, os.Chmod(filepath.Join(w.dir, "shop/src/main.go"), 0o755))
		}, "shop/src/main.go", "src/main.go", "x"},
		"beside a file that git ignores": {func(t *testing.T, w *workspace) {
			w.write(t, "shop/.gitignore", "*.log\n")
			w.write(t, "shop/a.log", "ignored\n")
		}, "shop/.gitignore", ".gitignore", "a.log"},
		"a merge that adds nothing": {func(t *testing.T, w *workspace) {
			w.git(t, "mv", "shop/src/main.go", "shop/src/other.go")
		}, "shop/src/", "src/other.go", "src/main.go"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t)
			clean := w.read(t)
			objects := w.git(t, "count-objects")
			test.change(t, w)
			staged := w.git(t, "diff", "--cached", "--name-only")
			objects2 := w.git(t, "count-objects")
			f := w.refused(t)
			require.Contains(t, f.Message, test.named)
			require.NotContains(t, f.Message, "\x1b")
			require.Contains(t, f.Hint, "--dirty")
			w.Dirty = true
			dirty := w.read(t)
			require.True(t, dirty.Dirty)
			require.Equal(t, clean.Commit, dirty.Commit)
			require.NotEqual(t, clean.Hash, dirty.Hash)
			require.Equal(t, dirty.Hash, w.read(t).Hash, "the same content, the same hash")
			require.True(t, dirty.Only(test.has))
			require.False(t, dirty.Only(test.lacks))
			require.Equal(t, staged, w.git(t, "diff", "--cached", "--name-only"), "the index is as it was")
			require.Equal(t, objects2, w.git(t, "count-objects"), "the repository is as it was: "+objects)

			w.Dirty = false
			w.commit(t, "Commit it")
			committed := w.read(t)
			require.Equal(t, dirty.Hash, committed.Hash, "the same content, committed")
			require.False(t, committed.Dirty)
		})
	}
}

func TestAnIgnoredFileIsNoChange(t *testing.T) {
	w := newWorkspace(t)
	w.write(t, ".gitignore", "*.log\n")
	w.commit(t, "Ignore logs")
	before := w.read(t)
	w.write(t, "shop/a.log", "x")
	after := w.read(t)
	require.Equal(t, before.Hash, after.Hash)
	require.False(t, after.Only("a.log"), "it would enter the build, and the hash does not know it")
}

func TestRepositoriesThatCannotBeRead(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, w *workspace)
		want   string
	}{
		"no repository": {func(t *testing.T, w *workspace) { require.NoError(t, os.RemoveAll(filepath.Join(w.dir, ".git"))) }, "is not in a git repository"},
		"no git":        {func(t *testing.T, w *workspace) { t.Setenv("PATH", t.TempDir()) }, "there is no git program"},
		"no commit": {func(t *testing.T, w *workspace) {
			require.NoError(t, os.RemoveAll(filepath.Join(w.dir, ".git")))
			w.git(t, "init", "--quiet")
		}, "has no commit yet"},
		"a bare repository": {func(t *testing.T, w *workspace) {
			bare := filepath.Join(t.TempDir(), "bare.git")
			w.git(t, "clone", "--quiet", "--bare", ".", bare)
			w.Workspace, w.Path = bare, ""
		}, "is in a bare git repository"},
		"the repository's own directory": {func(t *testing.T, w *workspace) { w.Path = ".git" }, "is in a bare git repository"},
		"a repository of another user": {func(t *testing.T, w *workspace) {
			require.NoError(t, os.Lchown(w.dir, 12345, 12345))
			require.NoError(t, os.Lchown(filepath.Join(w.dir, ".git"), 12345, 12345))
		}, "belongs to another user"},
		"a directory that git ignores": {func(t *testing.T, w *workspace) {
			w.write(t, ".gitignore", "/build/\n")
			w.commit(t, "Ignore what is built")
			w.write(t, "build/x", "x")
			w.Path = "build"
		}, "git ignores"},
		"a directory that is not committed": {func(t *testing.T, w *workspace) { w.write(t, "new/x", "x"); w.Path = "new" }, "changes that are not committed: new/"},
		"an empty directory": {func(t *testing.T, w *workspace) {
			require.NoError(t, os.Mkdir(filepath.Join(w.dir, "empty"), 0o755))
			w.Path = "empty"
		}, "has no file that is committed"},
		"an empty directory, dirty": {func(t *testing.T, w *workspace) {
			require.NoError(t, os.Mkdir(filepath.Join(w.dir, "empty"), 0o755))
			w.Path, w.Dirty = "empty", true
		}, "has no file that git does not ignore"},
		"no directory": {func(t *testing.T, w *workspace) { w.Path = "none" }, "find none in the workspace"},
		"a link that leads out": {func(t *testing.T, w *workspace) {
			require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(w.dir, "out")))
			w.Path = "out"
		}, "leads out of the workspace"},
		"a merge conflict": {func(t *testing.T, w *workspace) {
			w.Dirty = true
			w.git(t, "switch", "--quiet", "--create", "other")
			w.write(t, "shop/src/main.go", "theirs\n")
			w.commit(t, "Theirs")
			w.git(t, "switch", "--quiet", "main")
			w.write(t, "shop/src/main.go", "ours\n")
			w.commit(t, "Ours")
			_ = exec.Command("git", "-C", w.dir, "merge", "other").Run()
		}, "has a merge conflict in shop/src/main.go"},
		"a sparse checkout": {func(t *testing.T, w *workspace) { w.git(t, "sparse-checkout", "set", "web"); w.Path = "" }, "is a sparse checkout: 3 of its files"},
		"a file that git is not to check": {func(t *testing.T, w *workspace) {
			w.git(t, "update-index", "--assume-unchanged", "shop/src/main.go")
			w.write(t, "shop/src/main.go", "changed\n")
		}, "git does not look at changes of"},
		"a repository in it": {func(t *testing.T, w *workspace) {
			w.write(t, "shop/inner/x", "x")
			gitIn(t, filepath.Join(w.dir, "shop/inner"), "init", "--quiet")
			gitIn(t, filepath.Join(w.dir, "shop/inner"), "add", "x")
			gitIn(t, filepath.Join(w.dir, "shop/inner"), "commit", "--quiet", "--message", "x")
			w.write(t, "shop/inner/x", "changed")
			w.Dirty = true
		}, "the submodule"},
		"a filter of the repository's own": {func(t *testing.T, w *workspace) { w.git(t, "config", "filter.x.clean", "sh -c 'touch "+w.dir+"/ran'") }, "runs a program on its files: filter.x.clean"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t)
			test.change(t, w)
			require.Contains(t, w.refused(t).Message, test.want)
		})
	}
}

func TestOtherKindsOfCheckouts(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, w *workspace){
		"a worktree": func(t *testing.T, w *workspace) {
			tree := filepath.Join(t.TempDir(), "tree")
			w.git(t, "worktree", "add", "--quiet", "--detach", tree)
			w.dir, w.Workspace = tree, tree
		},
		"a shallow clone": func(t *testing.T, w *workspace) {
			w.commit(t, "More")
			clone := filepath.Join(t.TempDir(), "clone")
			w.git(t, "clone", "--quiet", "--depth=1", "file://"+w.dir, clone)
			require.Equal(t, "true", gitIn(t, clone, "rev-parse", "--is-shallow-repository"))
			w.dir, w.Workspace = clone, clone
		},
		"a partial clone": func(t *testing.T, w *workspace) {
			w.git(t, "config", "uploadpack.allowFilter", "true")
			clone := filepath.Join(t.TempDir(), "clone")
			w.git(t, "clone", "--quiet", "--filter=blob:none", "file://"+w.dir, clone)
			w.dir, w.Workspace = clone, clone
		},
		"a sparse checkout that has it": func(t *testing.T, w *workspace) { w.git(t, "sparse-checkout", "set", "shop") },
		"a detached head":               func(t *testing.T, w *workspace) { w.git(t, "checkout", "--quiet", "--detach") },
		"a workspace within it": func(t *testing.T, w *workspace) {
			w.Workspace, w.Path = filepath.Join(w.dir, "shop"), ""
		},
		"a workspace that is a link": func(t *testing.T, w *workspace) {
			link := filepath.Join(t.TempDir(), "link")
			require.NoError(t, os.Symlink(w.dir, link))
			w.Workspace = link
		},
		"another repository in the environment": func(t *testing.T, w *workspace) {
			other := t.TempDir()
			gitIn(t, other, "init", "--quiet")
			t.Setenv("GIT_DIR", filepath.Join(other, ".git"))
			t.Setenv("GIT_INDEX_FILE", filepath.Join(other, "index"))
		},
		"a split index": func(t *testing.T, w *workspace) { w.git(t, "update-index", "--split-index") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t)
			before := w.read(t)
			change(t, w)
			require.Equal(t, before.Hash, w.read(t).Hash)
			require.NoError(t, os.WriteFile(filepath.Join(w.Workspace, w.Path, "src/main.go"), []byte("changed\n"), 0o600))
			w.Dirty = true
			dirty := w.read(t)
			require.True(t, dirty.Dirty)
			require.NotEqual(t, before.Hash, dirty.Hash)
		})
	}
}

func TestSubmodules(t *testing.T) {
	w := newWorkspace(t)
	without := w.read(t)
	other := newWorkspace(t)
	w.git(t, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other.dir, "shop/vendor/other")
	w.commit(t, "Add a submodule")
	with := w.read(t)
	require.NotEqual(t, without.Hash, with.Hash)
	require.True(t, with.Only("vendor/other/lib/lib.go"))
	require.True(t, with.Only("vendor/other"))
	require.False(t, with.Only("vendor/other/.git"))

	w.write(t, "shop/vendor/other/lib/lib.go", "changed\n")
	w.Dirty = true
	require.Contains(t, w.refused(t).Message, "has changes that are not committed: lib/lib.go")
	w.Dirty = false
	gitIn(t, filepath.Join(w.dir, "shop/vendor/other"), "commit", "--quiet", "--all", "--message", "Change it")
	require.Contains(t, w.refused(t).Message, "changes that are not committed: shop/vendor/other")
	w.Dirty = true
	require.Contains(t, w.refused(t).Message, "is recorded")
	w.Dirty = false
	w.commit(t, "Record it")
	require.NotEqual(t, with.Hash, w.read(t).Hash)

	w.git(t, "submodule", "--quiet", "deinit", "--force", "--all")
	f := w.refused(t)
	require.Contains(t, f.Message, "is not checked out")
	require.Contains(t, f.Hint, "submodule update --init")

	t.Run("a service in a submodule", func(t *testing.T) {
		w.git(t, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
		w.Path = "shop/vendor/other/shop"
		require.Equal(t, "Change it", w.read(t).Subject)
	})
}
