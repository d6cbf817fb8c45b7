package sources

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

const (
	// longest bounds all that git does for one build: a status may have to read each file.
	longest = 2 * time.Minute
	// brief bounds what only labels need.
	brief = 10 * time.Second
	// maxOutput bounds what one git prints: a path takes about a hundred bytes.
	maxOutput = 64 << 20
	// maxReason bounds what an error quotes of git's own.
	maxReason = 500
)

// safely are options with which git executes nothing that a repository's configuration
// names, fetches nothing and writes nothing to the repository.
var safely = []string{
	"--no-pager", "--no-optional-locks", "--no-replace-objects",
	"-c", "core.fsmonitor=false",
	"-c", "core.hooksPath=/dev/null",
	"-c", "core.ignoreStat=false",
	"-c", "core.safecrlf=false",
	"-c", "core.quotePath=false",
	"-c", "protocol.allow=never",
	"-c", "safe.bareRepository=explicit",
	"-c", "submodule.recurse=false",
	"-c", "status.submoduleSummary=false",
	"-c", "add.ignoreErrors=false",
	"-c", "advice.addEmbeddedRepo=false",
	"-c", "gc.auto=0",
}

// kept are the variables of git that this process passes on: those that say where the
// user's and the system's configuration is. Others name another repository, as in a hook.
var kept = []string{"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT", "GIT_CEILING_DIRECTORIES", "GIT_EXEC_PATH"}

// environment returns that of git.
func environment(extra []string) []string {
	var env []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "GIT_") || slices.Contains(kept, name) ||
			strings.HasPrefix(name, "GIT_CONFIG_KEY_") || strings.HasPrefix(name, "GIT_CONFIG_VALUE_") {
			env = append(env, variable)
		}
	}
	env = append(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1")
	return append(env, extra...)
}

// failed is the error of a git that ran.
type failed struct {
	code   int
	reason string // what it printed on its standard error
}

func (f *failed) Error() string { return fmt.Sprintf("git: %s (exit status %d)", f.reason, f.code) }

// git runs git in a directory and returns what it prints.
func git(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	options := slices.Clone(safely)
	if args[0] != "check-ignore" { // which accepts no other paths
		options = append(options, "--literal-pathspecs")
	}
	cmd := exec.CommandContext(ctx, "git", append(options, args...)...)
	cmd.Dir, cmd.Env = dir, environment(env)
	// A filter is a process of git's, and ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	output, reason := &bounded{limit: maxOutput}, &bounded{limit: 64 << 10, cut: true}
	cmd.Stdout, cmd.Stderr = output, reason
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return output.String(), nil
	case errors.Is(err, exec.ErrNotFound):
		return "", fault.New(fault.Invalid, "read the sources with git: there is no git program on this host").
			WithHint("install git, or write a tag in place of {git}")
	case ctx.Err() != nil:
		return "", fault.Wrap(fault.Unavailable, ctx.Err(), "read the sources in %s: git %s does not end", dir, args[0])
	case output.full:
		return "", fault.New(fault.Invalid, "read the sources in %s: git %s prints more than %d MiB", dir, args[0], maxOutput>>20)
	case errors.As(err, &exit):
		return "", &failed{exit.ExitCode(), printable(reason.String(), maxReason)}
	}
	return "", fault.Wrap(fault.Internal, err, "run git in %s", dir)
}

// bounded is a buffer with a limit. Beyond it, it fails, or discards what comes.
type bounded struct {
	bytes.Buffer
	limit     int
	cut, full bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) <= b.limit {
		return b.Buffer.Write(p)
	}
	b.full = true
	if !b.cut {
		return 0, errors.New("the output is too long")
	}
	b.Buffer.Write(p[:max(0, b.limit-b.Len())])
	return len(p), nil
}

// explain translates the error of a git that could not use a repository.
func explain(err error, dir string) error {
	var f *failed
	if !errors.As(err, &f) {
		return err
	}
	switch {
	case strings.Contains(f.reason, "dubious ownership"):
		return fault.New(fault.Invalid, "git does not read the repository of %s, because it belongs to another user", dir).
			WithHint("if you trust it: git config --global --add safe.directory '*', or the repository's directory in place of '*'")
	case strings.Contains(f.reason, "bare repository"):
		return inBare(dir)
	case strings.Contains(f.reason, "not a git repository"):
		return fault.New(fault.Invalid, "%s is not in a git repository", dir).
			WithHint("commit the sources to one, or write a tag in place of {git}")
	case strings.Contains(f.reason, "transport '") && strings.Contains(f.reason, "not allowed"):
		return fault.New(fault.Invalid, "the repository of %s is a partial clone, and lacks objects that are needed", dir).
			WithHint("fetch them: git fetch --refetch --filter=blob:none, or clone without --filter")
	}
	return fault.New(fault.Invalid, "git cannot read the repository of %s: %s", dir, f.reason)
}

func inBare(dir string) error {
	return fault.New(fault.Invalid, "%s is in a bare git repository, which has no files", dir).
		WithHint("set [build] workspace to a directory with a checkout: git clone, or git worktree add")
}

// printable returns text on one line without control characters, cut to a number of bytes.
func printable(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || invisible(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len("…")], "") + "…"
}

// invisible reports whether a character changes how others are shown: marks of direction
// and of width, and what separates lines.
func invisible(r rune) bool {
	return r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff || r == 0x61c
}
