package e2e

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/test/display"
	"github.com/metacircular/mcp/test/printed"
)

// terminal is a terminal that mcp runs on.
type terminal struct {
	*display.Display
	keys *os.File
	cmd  *exec.Cmd
	raw  printed.Text // all that was written
	done chan struct{}
}

// terminal starts mcp on a terminal of that size, with more in its environment.
func (w *world) terminal(columns, rows int, environment []string, args ...string) *terminal {
	w.t.Helper()
	t := &terminal{Display: display.New(columns, rows), done: make(chan struct{})}
	t.cmd = w.command(args...)
	t.cmd.Env = append(append(t.cmd.Env, "TERM=xterm-256color", "NO_COLOR="), environment...)
	var err error
	t.keys, err = pty.StartWithSize(t.cmd, &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)})
	require.NoError(w.t, err)
	go func() {
		defer close(t.done)
		_, _ = io.Copy(io.MultiWriter(lineEnds{t.Display}, &t.raw), t.keys) // a terminal ends with an error
		_ = t.cmd.Wait()                                                    // its exit code says it
	}()
	w.t.Cleanup(func() {
		_ = t.cmd.Process.Kill()
		<-t.done
		_ = t.keys.Close()
		if w.t.Failed() {
			w.t.Logf("mcp %s\n%s", strings.Join(args, " "), t.Text())
		}
	})
	return t
}

// lineEnds undoes the line ends of the kernel's terminal: Display adds its own.
type lineEnds struct{ io.Writer }

func (l lineEnds) Write(p []byte) (int, error) {
	_, err := l.Writer.Write([]byte(strings.ReplaceAll(string(p), "\r\n", "\n")))
	return len(p), err
}

// code waits for the end of mcp, and returns its exit code.
func (t *terminal) code(w *world, timeout time.Duration) int {
	w.t.Helper()
	select {
	case <-t.done:
	case <-time.After(timeout):
		require.Fail(w.t, "still running after "+timeout.String())
	}
	return t.cmd.ProcessState.ExitCode()
}

// shows waits until the terminal shows a pattern.
func (t *terminal) shows(w *world, pattern string) {
	w.t.Helper()
	want := regexp.MustCompile(pattern)
	require.Eventually(w.t, func() bool { return want.MatchString(t.Text()) }, time.Minute, 20*time.Millisecond)
}

// A deploy draws the steps under way, and leaves those that have ended.
func TestADeployOnATerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", `RUN ["/app", "sleep", "8s"]`) // a heartbeat is sent after three seconds
	w.define("drawn", w.service("drawn", "v1", ""))
	screen := w.terminal(100, 40, nil, "deploy", "drawn")
	screen.shows(w, `s [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] drawn: build  \([\d.]+m?s\)`)
	screen.shows(w, `build  \([\d.]+m?s\): STEP \d/\d`)
	require.Zero(t, screen.code(w, time.Minute))
	text := screen.Text()
	require.NotRegexp(t, `[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]`, text)
	require.Regexp(t, `(?s)^ +[\d.]+s ✓ (?:look for|open the deployment of drawn).*
drawn: no release yet
  \* build and push \S+/drawn:v1
  \+ app  local  create
.*s ✓ drawn: build  \([\d.]+s\)
.*s ✓ drawn: push .*s ✓ app: run on local .*s ✓ write the outcome: succeeded.*
drawn: succeeded, deployment \d+, [\d.]+m?s
  \+ app  local  created, built  http:\d+$`, text)
	require.NotContains(t, screen.raw.String(), "\x1b[?25l", "a cursor that is hidden stays so when mcp is killed")
}

// Without colours nothing is drawn either.
func TestPlainLinesOnATerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("plain", w.service("plain", "v1", ""))
	for _, environment := range []string{"NO_COLOR=1", "TERM=dumb"} {
		screen := w.terminal(100, 40, []string{environment}, "deploy", "plain")
		require.Zero(t, screen.code(w, time.Minute))
		require.NotContains(t, screen.raw.String(), "\x1b", environment)
		require.Contains(t, screen.Text(), "✓ write the outcome", environment)
	}
}

// In twenty columns no live line takes more than one row.
func TestADeployInANarrowWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", `RUN ["/app", "sleep", "3s"]`)
	w.define("narrow", w.service("narrow", "v1", ""))
	screen := w.terminal(20, 60, nil, "deploy", "narrow")
	screen.shows(w, `s [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] narrow: …(\n|$)`)
	require.Zero(t, screen.code(w, time.Minute))
	require.NotRegexp(t, `[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏…]`, screen.Text())
}

// A table that is wider than twenty columns is printed as a whole.
func TestTablesInANarrowWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("slim", w.service("slim", "v1", ""))
	w.deploy("slim")
	w.define("slim", w.service("slim", "v1", `env = { COLOUR = "green" }`))
	for _, table := range []struct{ line, cell string }{
		{"status slim", "http:443→"}, {"ps --node local", "slim-app"}, {"history slim", "succeeded"}, {"history slim 1", "commit the release"},
		{"plan slim", "env.COLOUR: added"}, {"sync slim", "env.COLOUR: added"}, {"node list", "127.0.0.1"}, {"node status local", "CONTAINERS"}, {"node show local", "containers"},
		{"service list", "slim.toml"}, {"config show", "temporal.address"},
	} {
		screen := w.terminal(20, 2000, nil, strings.Fields(table.line)...)
		require.Zero(t, screen.code(w, time.Minute), table.line)
		require.Contains(t, strings.Join(strings.Fields(screen.Text()), ""), strings.ReplaceAll(table.cell, " ", ""), table.line)
	}
}
