package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workflows"
)

// ctrlC presses Ctrl-C. mcp must end soon, and leave no live line.
func (t *terminal) ctrlC(w *world) (code int) {
	w.t.Helper()
	t.types(w, "\x03")
	code = t.code(w, 20*time.Second)
	require.NotRegexp(w.t, `[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]`, t.Text())
	return code
}

// runs reports whether mcp still runs.
func (t *terminal) runs() bool {
	select {
	case <-t.done:
		return false
	default:
		return true
	}
}

// types presses keys.
func (t *terminal) types(w *world, keys string) {
	w.t.Helper()
	_, err := t.keys.WriteString(keys)
	require.NoError(w.t, err)
}

// unserved is a world of its own whose control worker has ended.
func unserved(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.alone()
	worker := w.worker("--control", "--listen", "off")
	worker.signal(syscall.SIGTERM)
	require.Zero(t, worker.code(time.Minute))
	return w
}

// A deploy may be left before a control worker has started it.
func TestACtrlCWhileNoControlWorkerIsThere(t *testing.T) {
	t.Parallel()
	w := unserved(t)
	name := w.node + "-unserved"
	w.define(name, w.service(name, "v1", ""))
	screen := w.terminal(100, 40, nil, "deploy", name)
	screen.shows(w, "no control worker polls the queue control; waiting for one")
	require.Equal(t, 130, screen.ctrlC(w))
	require.Contains(t, screen.Text(), "detached: the deploy of "+name)
	w.untilRunning(workflows.DeployID(name))
}

// Commands that only read end without a message.
func TestACtrlCEndsWhatOnlyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("looked", w.service("looked", "v1", ""))
	w.deploy("looked")
	w.podman("stop", "looked-app")
	require.Eventually(t, func() bool { return len(w.events("looked")) > 0 }, 2*time.Minute, time.Second, "the next observation finds it")
	for name, command := range map[string]struct {
		args  []string
		shown string
	}{
		"logs -f":         {[]string{"logs", "looked", "-f"}, "listening on"},
		"events --follow": {[]string{"events", "looked", "--follow"}, "stopped"},
	} {
		screen := w.terminal(100, 40, nil, command.args...)
		screen.shows(w, command.shown)
		before := screen.Text()
		require.Equal(t, 130, screen.ctrlC(w), name)
		require.Equal(t, before, strings.TrimSpace(strings.ReplaceAll(screen.Text(), "^C", "")), name)
	}
}

// A Ctrl-C ends the wait for a command in a container.
func TestACtrlCAtAnExec(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("execed", w.service("execed", "v1", ""))
	w.deploy("execed")
	screen := w.terminal(100, 40, nil, "exec", "execed/app", "--", "/app", "sleep", "10m", "execed")
	require.Eventually(t, func() bool { return runs("execed") }, time.Minute, 50*time.Millisecond)
	require.Equal(t, 130, screen.ctrlC(w))
	require.NotContains(t, screen.Text(), "error")
}

// A second Ctrl-C ends mcp at once, where after the first it waits for a Temporal that
// no longer answers.
func TestASecondCtrlC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("twice", w.service("twice", "v1", ""))
	w.deploy("twice")
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "temporal", "127.0.0.1:0", shared.platform.Info().Temporal())
	require.NoError(t, proxy.Start())
	defer proxy.Stop()

	screen := w.terminal(100, 40, []string{"TEMPORAL_ADDRESS=" + proxy.Listen}, "exec", "twice/app", "--", "/app", "sleep", "10m", "twice")
	require.Eventually(t, func() bool { return runs("twice") }, time.Minute, 50*time.Millisecond)
	_, err := proxy.Toxics.AddToxicJson(strings.NewReader(`{"type": "timeout", "attributes": {"timeout": 0}}`))
	require.NoError(t, err)
	pressed := 0
	for ; screen.runs(); time.Sleep(200 * time.Millisecond) { // a busy machine may take two for one
		screen.types(w, "\x03")
		pressed++
	}
	require.Equal(t, syscall.SIGINT, screen.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(), screen.cmd.ProcessState)
	require.Less(t, pressed, 20)
}

// A question that is interrupted counts as a no.
func TestACtrlCAtAQuestion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("questioned", w.service("questioned", "v1", ""))
	w.deploy("questioned")
	screen := w.terminal(100, 40, nil, "undeploy", "questioned")
	screen.shows(w, `Go on\? \[y/N\]`)
	require.Equal(t, 130, screen.ctrlC(w))
	require.Equal(t, "running", w.status("questioned").Components[0].ObservedState)
}

// A platform that is interrupted while it starts leaves no process.
func TestACtrlCWhileThePlatformStarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir, bin := filepath.Join(w.dir, "platform"), programs(t)
	for _, how := range []struct {
		args []string
		code int
	}{
		{[]string{"dev"}, 0}, // Ctrl-C is how it is ended
		{[]string{"dev", "--detach"}, 130},
	} {
		screen := w.terminal(100, 40, []string{"PATH=" + bin + ":" + os.Getenv("PATH")}, append(how.args, "--dir", dir)...)
		require.Eventually(t, func() bool { return strings.Contains(strings.Join(processesOf(dir), ""), dir+"/") }, time.Minute, 5*time.Millisecond, "a part has started")
		require.Equal(t, how.code, screen.ctrlC(w), how.args)
		require.NotContains(t, screen.Text(), "error:")
		require.Empty(t, processesOf(dir), how.args)
		down := w.mcp("dev", "down", "--destroy", "--dir", dir)
		require.Zero(t, down.code, down)
	}
}

// processesOf are this host's processes with a directory among their arguments.
func processesOf(dir string) (found []string) {
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range commands {
		text, err := os.ReadFile(path)
		if err == nil && regexp.MustCompile(regexp.QuoteMeta(dir)+`(/|\x00)`).Match(text) {
			found = append(found, string(text))
		}
	}
	return found
}

// Ctrl-C is a key for the editor, as for vi, and what the editor saves is kept.
func TestACtrlCInTheEditor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.define("edited", w.service("edited", "v1", ""))
	editor := filepath.Join(w.dir, "editor")
	require.NoError(t, os.WriteFile(editor, []byte(`#!/bin/sh
trap 'echo key' INT
echo editing
read line
read line
read line
echo '# kept' >> "$1"
`), 0o755))
	screen := w.terminal(100, 40, []string{"EDITOR=exec " + editor}, "service", "edit", "edited")
	screen.shows(w, "editing")
	for range 2 {
		before := strings.Count(screen.Text(), "key")
		screen.types(w, "\x03")
		require.Eventually(t, func() bool { return strings.Count(screen.Text(), "key") > before }, time.Minute, 20*time.Millisecond)
		require.True(t, screen.runs())
	}
	screen.types(w, "\n\n\n")
	require.Zero(t, screen.code(w, time.Minute))
	require.Contains(t, screen.Text(), "edited.toml is saved")
	require.Contains(t, w.mcp("service", "show", "edited").stdout, `name = "edited"`)
	text, err := os.ReadFile(filepath.Join(w.services, "edited.toml"))
	require.NoError(t, err)
	require.Contains(t, string(text), "# kept")
}
