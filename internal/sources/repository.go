package sources

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// repository is a checkout, and a directory in it.
type repository struct {
	dir     string // where git runs
	top     string // of the checkout
	prefix  string // of dir in it, "" or ending in "/"
	index   string // a file
	objects string // a directory
	commit  string // "" before the first
}

// openRepository finds the repository of a directory and checks that git can be run there
// without executing what its configuration names.
func openRepository(ctx context.Context, dir string) (*repository, error) {
	if err := checkKind(ctx, dir); err != nil {
		return nil, err
	}
	text, err := git(ctx, dir, nil, "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-path", "index", "--git-path", "objects")
	if err != nil {
		return nil, explain(err, dir)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	prefix, err := git(ctx, dir, nil, "rev-parse", "--show-prefix")
	if err != nil {
		return nil, explain(err, dir)
	}
	if len(lines) != 3 {
		return nil, fault.New(fault.Invalid, "git cannot read the repository of %s: its path has a line break", dir)
	}
	r := &repository{dir: dir, top: lines[0], prefix: strings.TrimSuffix(prefix, "\n"), index: lines[1], objects: lines[2]}
	if err := r.checkFilters(ctx); err != nil {
		return nil, err
	}
	commit, err := git(ctx, dir, nil, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	if f := new(failed); err != nil && !errors.As(err, &f) {
		return nil, err
	}
	r.commit = strings.TrimSpace(commit)
	return r, nil
}

// checkKind checks that a directory is in the files of a repository.
func checkKind(ctx context.Context, dir string) error {
	text, err := git(ctx, dir, nil, "rev-parse", "--is-inside-work-tree", "--is-bare-repository")
	if err != nil {
		return explain(err, dir)
	}
	switch inside, bare, _ := strings.Cut(strings.TrimSpace(text), "\n"); {
	case bare == "true":
		return inBare(dir)
	case inside != "true":
		return fault.New(fault.Invalid, "%s is not among the files of its git repository", dir).
			WithHint("set path to a directory of the checkout")
	}
	return nil
}

// programs matches the keys of programs that git runs on the content of files.
var programs = regexp.MustCompile(`^(?:filter|lfs\.extension)\..*\.(?:clean|smudge|process)$`)

// lfs are the programs of Git LFS, as git lfs install --local configures them.
var lfs = []string{"git-lfs clean -- %f", "git-lfs smudge -- %f", "git-lfs smudge --skip -- %f", "git-lfs filter-process", "git-lfs filter-process --skip"}

// checkFilters refuses a repository whose own configuration names a program that git would
// run on files. The user's own configuration may.
func (r *repository) checkFilters(ctx context.Context) error {
	text, err := git(ctx, r.dir, nil, "config", "--show-scope", "--null", "--list")
	if err != nil {
		return explain(err, r.dir)
	}
	fields := strings.Split(text, "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		key, value, _ := strings.Cut(fields[i+1], "\n")
		own := fields[i] == "local" || fields[i] == "worktree"
		if own && programs.MatchString(key) && value != "" && !slices.Contains(lfs, value) {
			return fault.New(fault.Invalid, "the configuration of the repository %s runs a program on its files: %s = %s",
				r.top, printable(key, maxReason), printable(value, maxReason)).
				WithHint("if you trust it, move that to your own configuration: git config --global")
		}
	}
	return nil
}

// change is a file that differs from the commit.
type change struct {
	path string // in the checkout
	// conflict is set for a file that a merge has left undecided.
	conflict bool
}

// changes returns the files in the directory, or one of them, that differ from the commit. A
// submodule is one of them if it has another commit.
func (r *repository) changes(ctx context.Context, path string) ([]change, error) {
	text, err := git(ctx, r.dir, nil, "status", "--porcelain=v2", "-z", "--untracked-files=normal",
		"--ignore-submodules=dirty", "--no-renames", "--", path)
	if err != nil {
		return nil, explain(err, r.dir)
	}
	var found []change
	for entry := range strings.SplitSeq(text, "\x00") {
		kind, rest, _ := strings.Cut(entry, " ")
		switch kind {
		case "1": // XY sub mH mI mW hH hI path
			found = append(found, change{path: after(rest, 7)})
		case "u": // XY sub m1 m2 m3 mW h1 h2 h3 path
			found = append(found, change{path: after(rest, 9), conflict: true})
		case "?":
			found = append(found, change{path: rest})
		}
	}
	return found, nil
}

// after returns what follows n fields.
func after(text string, n int) string {
	fields := strings.SplitN(text, " ", n+1)
	return fields[len(fields)-1]
}

// entry is a file of the index.
type entry struct {
	tag    byte   // of git ls-files -v
	mode   string // "100644"
	object string
	path   string // relative to the directory
}

// submodule reports whether an entry is a commit of another repository.
func (e entry) submodule() bool { return e.mode == "160000" }

// entries lists the files of an index in the directory.
func (r *repository) entries(ctx context.Context, env []string, path string) ([]entry, error) {
	text, err := git(ctx, r.dir, env, "ls-files", "-v", "-s", "-z", "--", path)
	if err != nil {
		return nil, explain(err, r.dir)
	}
	var list []entry
	for line := range strings.SplitSeq(text, "\x00") { // "H 100644 OBJECT 0\tPATH"
		facts, path, found := strings.Cut(line, "\t")
		fields := strings.Fields(facts)
		if found && len(fields) == 4 {
			list = append(list, entry{fields[0][0], fields[1], fields[2], path})
		}
	}
	return list, nil
}

// about is what git says of a commit.
type about struct {
	subject string
	created time.Time
	origin  string
}

// maxSubject bounds the subject of a commit, in bytes.
const maxSubject = 120

// describe reads the commit and where the repository comes from.
func (r *repository) describe(ctx context.Context) (about, error) {
	text, err := git(ctx, r.dir, nil, "cat-file", "commit", r.commit)
	if err != nil {
		return about{}, explain(err, r.dir)
	}
	header, message, _ := strings.Cut(text, "\n\n")
	var a about
	for line := range strings.SplitSeq(header, "\n") {
		if committer, found := strings.CutPrefix(line, "committer "); found {
			fields := strings.Fields(committer[strings.LastIndex(committer, ">")+1:])
			if len(fields) > 0 {
				seconds, _ := strconv.ParseInt(fields[0], 10, 64)
				a.created = time.Unix(max(0, min(seconds, maxTime)), 0)
			}
		}
	}
	subject, _, _ := strings.Cut(strings.TrimLeft(message, "\n"), "\n\n")
	a.subject = printable(subject, maxSubject)
	origin, err := git(ctx, r.dir, nil, "config", "--get", "remote.origin.url")
	if f := new(failed); err != nil && !errors.As(err, &f) {
		return about{}, err
	}
	a.origin = withoutCredentials(strings.TrimSpace(origin))
	return a, nil
}

// maxTime is the end of the year 9999, the last that RFC 3339 can write.
const maxTime = 253402300799

// shortURL matches "git@host:path".
var shortURL = regexp.MustCompile(`^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^:].*$`)

// withoutCredentials returns a repository's URL without user and password; "" for one that
// is a path of this host, and for what is no URL.
func withoutCredentials(text string) string {
	if len(text) > 1024 || printable(text, len(text)) != text {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err == nil && u.Scheme == "ssh" && u.Host != "":
		if u.User != nil {
			u.User = url.User(u.User.Username())
		}
		return u.String()
	case err == nil && u.Host != "" && slices.Contains([]string{"http", "https", "git"}, u.Scheme):
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		return u.String()
	case !strings.Contains(text, "://") && shortURL.MatchString(text):
		return text
	}
	return ""
}

// ignored reports whether git ignores the directory.
func (r *repository) ignored(ctx context.Context) (bool, error) {
	_, err := git(ctx, r.top, nil, "check-ignore", "--quiet", "--", "./"+strings.TrimSuffix(r.prefix, "/"))
	var f *failed
	if errors.As(err, &f) && f.code == 1 {
		return false, nil
	}
	if err != nil {
		return false, explain(err, r.dir)
	}
	return true, nil
}

// shadow is an index and a store of objects beside those of a repository, which git reads
// and does not change.
func (r *repository) shadow(ctx context.Context) (env []string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "mcp-git-")
	if err != nil {
		return nil, func() {}, fault.Wrap(fault.Internal, err, "make a directory for git")
	}
	remove = func() { _ = os.RemoveAll(dir) }
	objects := filepath.Join(dir, "objects")
	index := filepath.Join(dir, "index")
	if err := os.Mkdir(objects, 0o700); err != nil {
		return nil, remove, fault.Wrap(fault.Internal, err, "make a directory for git")
	}
	env = []string{
		"GIT_INDEX_FILE=" + index, "GIT_OBJECT_DIRECTORY=" + objects,
		"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + strconv.Quote(r.objects),
	}
	if err := copyFile(index, r.index); err != nil {
		return nil, remove, fault.Wrap(fault.Internal, err, "copy the index of %s", r.top)
	}
	return env, remove, ctx.Err()
}

// copyFile copies a file, unless it does not exist.
func copyFile(to, from string) error {
	text, err := os.ReadFile(from)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}
