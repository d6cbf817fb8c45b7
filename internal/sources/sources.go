package sources

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// Git reads sources with the git program.
type Git struct{}

// Read returns the state of a build's sources, with a hash of all that enters the build.
// Sources that differ from their commit are Invalid, unless the query accepts them.
func (Git) Read(ctx context.Context, q servicedef.SourceQuery) (servicedef.BuildSources, error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	found, err := read(ctx, q)
	if err != nil {
		f := *fault.Of(err)
		f.Message = fmt.Sprintf("find the tag of %s: %s", q.Image, f.Message)
		return found, &f
	}
	return found, nil
}

// Describe returns the commit of a build's sources, and whether they differ from it.
func (Git) Describe(ctx context.Context, q servicedef.SourceQuery) (servicedef.BuildSources, error) {
	ctx, cancel := context.WithTimeout(ctx, brief)
	defer cancel()
	dir, err := inside(q.Workspace, filepath.Join(q.Path, q.Build.Context))
	if err != nil {
		return servicedef.BuildSources{}, err
	}
	r, err := openRepository(ctx, dir)
	if err != nil {
		return servicedef.BuildSources{}, err
	}
	if r.commit == "" {
		return servicedef.BuildSources{}, noCommit(r)
	}
	changed, err := r.changes(ctx, ".")
	if err != nil {
		return servicedef.BuildSources{}, err
	}
	return summary(ctx, r, len(changed) > 0)
}

func read(ctx context.Context, q servicedef.SourceQuery) (servicedef.BuildSources, error) {
	context := filepath.Join(q.Path, q.Build.Context)
	main, err := readPlace(ctx, q, context)
	if err != nil {
		return servicedef.BuildSources{}, err
	}
	objects := map[string]string{"": main.object}
	dirty, contexts := main.dirty, map[string]func(string) bool{}
	if file := q.Build.Containerfile; file != "" && !filepath.IsLocal(file) {
		outside, err := readPlace(ctx, q, filepath.Join(context, file))
		if err != nil {
			return servicedef.BuildSources{}, err
		}
		objects["file"], dirty = outside.object, dirty || outside.dirty
	}
	for _, name := range slices.Sorted(maps.Keys(q.Build.Contexts)) {
		value := q.Build.Contexts[name]
		if _, isImage := servicedef.ContextImage(value); isImage {
			continue
		}
		other, err := readPlace(ctx, q, filepath.Join(q.Path, value))
		if err != nil {
			return servicedef.BuildSources{}, err
		}
		objects["context "+name], contexts[name], dirty = other.object, other.files.has, dirty || other.dirty
	}
	found, err := summary(ctx, main.repository, dirty)
	found.Hash = q.Build.SourceHash(objects)
	found.Only, found.Contexts = main.files.has, contexts
	return found, err
}

// summary describes the commit of a repository.
func summary(ctx context.Context, r *repository, dirty bool) (servicedef.BuildSources, error) {
	commit, err := r.describe(ctx)
	return servicedef.BuildSources{
		Source:  servicedef.Source{Commit: r.commit, Subject: commit.subject, Dirty: dirty},
		Created: commit.created, Origin: commit.origin,
	}, err
}

// place is a directory or a file of the workspace, as git records it.
type place struct {
	repository *repository
	object     string // the id of its tree or blob
	dirty      bool
	files      files
}

// readPlace reads a path that is relative to the workspace.
func readPlace(ctx context.Context, q servicedef.SourceQuery, path string) (place, error) {
	full, err := inside(q.Workspace, path)
	if err != nil {
		return place{}, err
	}
	info, err := os.Stat(full)
	if err != nil {
		return place{}, fault.Wrap(fault.Invalid, err, "find %s in the workspace %s", path, q.Workspace)
	}
	dir, name := full, "."
	if !info.IsDir() {
		dir, name = filepath.Split(full)
	}
	r, err := openRepository(ctx, filepath.Clean(dir))
	if err != nil {
		return place{}, err
	}
	if r.commit == "" {
		return place{}, noCommit(r)
	}
	changed, err := r.changes(ctx, name)
	if err != nil {
		return place{}, err
	}
	if err := judge(full, changed, q.Dirty); err != nil {
		return place{}, err
	}
	list, err := r.entries(ctx, nil, name)
	if err != nil {
		return place{}, err
	}
	p := place{repository: r, dirty: len(changed) > 0, files: files{}}
	if err := p.files.addAll(ctx, r, list, 0); err != nil {
		return place{}, err
	}
	if p.dirty || len(list) == 0 {
		err = p.readDirty(ctx, full, name, q.Dirty)
		return p, err
	}
	if p.object, err = r.committed(ctx, name); err != nil {
		return place{}, err
	}
	return p, nil
}

func noCommit(r *repository) error {
	return fault.New(fault.Invalid, "the git repository %s has no commit yet", r.top).WithHint("commit the sources: git add, then git commit")
}

// judge refuses changes that no hash can stand for, and others unless they are accepted.
func judge(path string, changed []change, accepted bool) error {
	var names []string
	for _, c := range changed {
		if c.conflict {
			return fault.New(fault.Invalid, "%s has a merge conflict in %s", path, printable(c.path, maxReason)).
				WithHint("resolve it: git mergetool, or git merge --abort")
		}
		names = append(names, printable(c.path, maxReason))
	}
	if len(names) == 0 || accepted {
		return nil
	}
	shown := strings.Join(names[:min(5, len(names))], ", ")
	if more := len(names) - 5; more > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	return fault.New(fault.Invalid, "%s has changes that are not committed: %s", path, shown).
		WithHint("commit them, or give --dirty")
}

// committed returns the id of the directory, or of a file in it, in the commit.
func (r *repository) committed(ctx context.Context, name string) (string, error) {
	path := strings.TrimSuffix(r.prefix, "/")
	if name != "." {
		path = r.prefix + name
	}
	text, err := git(ctx, r.dir, nil, "rev-parse", "--verify", "--quiet", r.commit+":"+path)
	if err != nil {
		return "", explain(err, r.dir)
	}
	return strings.TrimSpace(text), nil
}

// readDirty reads the content of the files. Its id is the one that the same content has
// once it is committed.
func (p *place) readDirty(ctx context.Context, full, name string, accepted bool) error {
	r := p.repository
	if r.prefix != "" {
		ignored, err := r.ignored(ctx)
		if err != nil {
			return err
		}
		if ignored && len(p.files) == 0 {
			return fault.New(fault.Invalid, "git ignores %s", full).
				WithHint("take it out of .gitignore and commit it, or write a tag in place of {git}")
		}
	}
	if !accepted {
		return fault.New(fault.Invalid, "%s has no file that is committed", full).WithHint("commit the sources, or give --dirty")
	}
	env, remove, err := r.shadow(ctx)
	defer remove()
	if err != nil {
		return err
	}
	if _, err := git(ctx, r.dir, env, "add", "--all", "--", name); err != nil {
		return explain(err, r.dir)
	}
	list, err := r.entries(ctx, env, name)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fault.New(fault.Invalid, "%s has no file that git does not ignore", full).WithHint("set path to the sources")
	}
	p.files, p.dirty = files{}, true
	if err := p.files.addAll(ctx, r, list, 0); err != nil {
		return err
	}
	if name != "." {
		p.object = list[0].object
		return nil
	}
	tree := []string{"write-tree", "--missing-ok"}
	if r.prefix != "" {
		tree = append(tree, "--prefix="+r.prefix)
	}
	text, err := git(ctx, r.dir, env, tree...)
	if err != nil {
		return explain(err, r.dir)
	}
	p.object = strings.TrimSpace(text)
	return nil
}

// files are the paths of files that belong to the sources, and of the directories with
// them.
type files map[string]struct{}

func (f files) has(path string) bool {
	_, found := f[filepath.ToSlash(path)]
	return found
}

func (f files) add(path string) {
	for ; path != "." && path != "/" && !f.has(path); path = filepath.Dir(path) {
		f[path] = struct{}{}
	}
}

// deepest bounds how deep submodules may be nested.
const deepest = 8

// addAll adds the files of an index, and those of submodules in it. Those that git does not
// compare with the files on disk are refused.
func (f files) addAll(ctx context.Context, r *repository, list []entry, depth int) error {
	missing := 0
	var first string
	for _, e := range list {
		switch {
		case e.submodule():
			if err := f.addSubmodule(ctx, r, e, depth); err != nil {
				return err
			}
			continue
		case e.tag == 'S' && absent(filepath.Join(r.dir, e.path)):
			if missing++; first == "" {
				first = e.path
			}
		case e.tag == 'S' || e.tag >= 'a' && e.tag <= 'z':
			return fault.New(fault.Invalid, "git does not look at changes of %s, which is marked so in its index", filepath.Join(r.dir, e.path)).
				WithHint("git update-index --no-assume-unchanged --no-skip-worktree, with that file")
		}
		f.add(e.path)
	}
	if missing > 0 {
		return fault.New(fault.Invalid, "%s is a sparse checkout: %d of its files are not checked out, such as %s", r.dir, missing, first).
			WithHint("check them out: git sparse-checkout add %s", strings.TrimSuffix(r.prefix, "/"))
	}
	return nil
}

func absent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// addSubmodule adds the files of a submodule, which must be checked out and unchanged.
func (f files) addSubmodule(ctx context.Context, super *repository, e entry, depth int) error {
	dir := filepath.Join(super.dir, e.path)
	if depth == deepest {
		return fault.New(fault.Invalid, "%s is a submodule in %d others", dir, depth)
	}
	if absent(filepath.Join(dir, ".git")) {
		return fault.New(fault.Invalid, "the submodule %s is not checked out", dir).
			WithHint("check it out: git -C %s submodule update --init --recursive", super.top)
	}
	r, err := openRepository(ctx, dir)
	if err != nil {
		return err
	}
	if r.prefix != "" || r.commit != e.object {
		return fault.New(fault.Invalid, "the submodule %s has commit %.12s checked out, and %.12s is recorded", dir, r.commit, e.object).
			WithHint("commit the one that is checked out, or git -C %s submodule update --recursive", super.top)
	}
	changed, err := r.changes(ctx, ".")
	if err != nil {
		return err
	}
	if len(changed) > 0 {
		return fault.New(fault.Invalid, "the submodule %s has changes that are not committed: %s", dir, printable(changed[0].path, maxReason)).
			WithHint("commit them in the submodule first: --dirty does not look into submodules")
	}
	list, err := r.entries(ctx, nil, ".")
	if err != nil {
		return err
	}
	inner := files{}
	if err := inner.addAll(ctx, r, list, depth+1); err != nil {
		return err
	}
	for path := range inner {
		f.add(filepath.Join(e.path, path))
	}
	return nil
}

const placeHint = "correct path and [build.images] in the definition, or [build] workspace in mcp.toml"

// inside returns a path of the workspace, resolved; one that leads out of it is refused.
func inside(workspace, path string) (string, error) {
	root, err := filepath.EvalSymlinks(workspace)
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "find the workspace")
	}
	full, err := filepath.EvalSymlinks(filepath.Join(root, path))
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "find %s in the workspace %s", path, workspace).WithHint("%s", placeHint)
	}
	if relative, err := filepath.Rel(root, full); err != nil || !filepath.IsLocal(relative) {
		return "", fault.New(fault.Invalid, "%s leads out of the workspace %s", path, workspace).WithHint("%s", placeHint)
	}
	return full, nil
}
