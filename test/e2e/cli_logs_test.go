package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/test/printed"
	"github.com/metacircular/mcp/workflows"
)

// say makes the service at a port print a line.
func (w *world) say(port int, line string) {
	w.t.Helper()
	_, err := askFor(port, url.Values{"say": {line}}.Encode())
	require.NoError(w.t, err)
}

// portOf is the host port of a component's only route.
func portOf(t *testing.T, r workflows.Result, component string) int {
	t.Helper()
	i := slices.IndexFunc(r.Components, func(c workflows.ComponentResult) bool { return c.Name == component })
	require.GreaterOrEqual(t, i, 0, r.Components)
	return r.Components[i].Ports["http"]
}

// awaitLine waits until a process has printed a line that contains text.
func (p *process) awaitLine(text string) {
	p.w.t.Helper()
	require.Eventually(p.w.t, func() bool { return strings.Contains(p.stdout.String()+p.stderr.String(), text) },
		time.Minute, 20*time.Millisecond, text)
}

// awaitLogs waits until the log of a service, which may lag behind the programs that
// print, has these lines, and returns the read that shows them.
func (w *world) awaitLogs(service string, lines ...string) reply {
	w.t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		r := w.mcp("logs", service)
		require.Zero(w.t, r.code, r)
		if !slices.ContainsFunc(lines, func(line string) bool { return !strings.Contains(r.stdout, line) }) {
			return r
		}
		require.Less(w.t, time.Since(began), time.Minute, "it lacks one of %q: %s", lines, r)
	}
}

func TestLogsShowWhatAServicePrintsAndFollowItThroughADeploy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("chatty", w.service("chatty", "v1", "")+`
[[components]]
name = "longer-name"
image = "`+w.image("chatty", "v1")+`"
env = { MODE = "deaf" }
`)
	port := portOf(t, w.deploy("chatty"), "app")
	w.say(port, "hello")

	both := w.awaitLogs("chatty", "app         | hello\n", "longer-name | not listening\n")
	require.Equal(t, 3, strings.Count(both.stdout, "\n"), both)
	one := w.mcp("logs", "chatty/app", "-n", "1")
	require.Equal(t, "hello\n", one.stdout)
	var line struct{ Time, Node, Component, Container, Stream, Line string }
	w.mcp("logs", "chatty/app", "-n", "1", "--json").decode(t, &line)
	require.Equal(t, []string{"local", "app", "chatty-app", "stdout", "hello"}, []string{line.Node, line.Component, line.Container, line.Stream, line.Line})
	stamped := w.mcp("logs", "chatty/app", "-n", "1", "-t", "--since", "1h")
	require.Regexp(t, `^\d{4}-\d\d-\d\dT\S+ hello\n$`, stamped.stdout)
	require.Equal(t, 2, w.mcp("logs", "chatty/nobody").code)
	require.Equal(t, 2, w.mcp("logs", "nothing").code)

	follow := w.process("logs", "chatty", "-f", "-n", "0")
	for began := time.Now(); !strings.Contains(follow.stdout.String(), "begin"); time.Sleep(300 * time.Millisecond) {
		require.Less(t, time.Since(began), time.Minute, "it follows from some moment on")
		w.say(port, "begin")
	}
	w.say(port, "first")
	follow.awaitLine("app         | first\n")
	w.source("v2", "")
	w.define("chatty", w.service("chatty", "v2", ""))
	port = portOf(t, w.deploy("chatty"), "app")
	w.say(port, "second")
	follow.awaitLine("app         | second\n")
	follow.awaitLine("longer-name: the release of service chatty has no component longer-name")
	require.Equal(t, 1, strings.Count(follow.stdout.String(), "first\n"))
	require.Equal(t, 1, strings.Count(follow.stdout.String(), "second\n"))

	follow.signal(syscall.SIGINT)
	require.Equal(t, 130, follow.code(time.Minute))
}

func TestAFollowOfABusyServiceLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("hurried", w.service("hurried", "v1", ""))
	port := portOf(t, w.deploy("hurried"), "app")
	follow := w.process("logs", "hurried", "-f")
	follow.awaitLine("listening on")
	var want []string
	var pauses time.Duration
	for i := range 300 {
		line := fmt.Sprintf("line %d", i)
		want = append(want, line)
		w.say(port, line)
		if i%50 == 0 { // it is read to its end now and then
			began := time.Now()
			follow.awaitLine(line + "\n")
			pauses += time.Since(began)
		}
	}
	follow.awaitLine(want[len(want)-1] + "\n")
	t.Logf("a line takes %s to be shown", pauses/6)
	lines := strings.Split(strings.TrimSpace(follow.stdout.String()), "\n")
	require.Equal(t, want, lines[1:])
}

// A successor that fails has its whole say, and so has a predecessor that goes.
func TestAFollowShowsEveryContainerOfADeploy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("outgoing", w.service("outgoing", "v1", `env = { LAST = "goodbye" }`))
	w.deploy("outgoing")
	follow := w.process("logs", "outgoing", "-f", "--json")
	follow.awaitLine("listening on")
	w.define("outgoing", w.service("outgoing", "v1", "restart = \"no\"\nenv = { MODE = \"exit\" }"))
	require.Equal(t, 1, w.mcp("deploy", "outgoing").code)
	follow.awaitLine(`"container":"outgoing-app.next","stream":"stdout","line":"line 12"`)
	w.define("outgoing", w.service("outgoing", "v1", `env = { LAST = "another" }`))
	w.deploy("outgoing")
	follow.awaitLine(`"line":"goodbye"`)
	for _, line := range []string{"line 1", "line 12", "goodbye"} {
		require.Equal(t, 1, strings.Count(follow.stdout.String(), `"line":"`+line+`"`), line)
	}
}

func TestAFollowEndsWithItsReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("left", w.service("left", "v1", ""))
	w.deploy("left")
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	ended := make(chan int, 1)
	var said printed.Text
	go func() {
		app := &cli.App{Stdout: writer, Stderr: &said, Getenv: w.getenv}
		ended <- app.Run(context.WithoutCancel(t.Context()), []string{"--config", w.config(), "logs", "left", "-f", "--json"})
	}()
	text, err := bufio.NewReader(reader).ReadString('\n')
	require.NoError(t, err)
	require.True(t, json.Valid([]byte(text)), text)
	require.NoError(t, reader.Close())
	select {
	case code := <-ended:
		require.Zero(t, code)
		require.Empty(t, said.String())
	case <-time.After(time.Minute):
		require.Fail(t, "it still follows")
	}
}

func TestAFollowOutlivesTheAbsenceOfItsNode(t *testing.T) {
	t.Parallel()
	w, worker := watched(t)
	w.source("v1", "")
	name := w.node + "-away"
	w.define(name, w.service(name, "v1", ""))
	port := portOf(t, w.deploy(name), "app")
	t.Cleanup(func() { w.podman("rm", "--force", "--ignore", name+"-app") })
	follow := w.process("logs", name, "-f")
	follow.awaitLine("listening on")
	worker.signal(syscall.SIGTERM)
	require.Zero(t, worker.code(time.Minute))
	follow.awaitLine("no worker polls")
	w.say(port, "while no worker ran")
	w.worker("--node", w.node)
	follow.awaitLine("while no worker ran\n")
	follow.awaitLine("it answers again")
	require.Equal(t, 1, strings.Count(follow.stderr.String(), "no worker polls"))
	require.Equal(t, 1, strings.Count(follow.stdout.String(), "listening on"))
}

func TestACommandIsRunInAComponent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("doing", w.service("doing", "v1", ""))
	w.deploy("doing")
	ran := w.mcp("exec", "doing/app", "--", "/app", "print", "1", "7")
	require.Equal(t, 5, ran.code, "output is left out")
	require.Len(t, ran.stdout, 256<<10)
	require.Contains(t, ran.stderr, "exited with code 7")
	var result struct {
		ExitCode       int `json:"exit_code"`
		Stdout, Stderr string
		Truncated      bool
	}
	quick := w.mcp("exec", "doing/app", "--json", "--", "/app", "sleep", "1ms")
	require.Zero(t, quick.code, quick)
	quick.decode(t, &result)
	require.False(t, result.Truncated)
	late := w.mcp("exec", "doing", "--timeout", "1s", "--", "/app", "sleep", "20s")
	require.Equal(t, 1, late.code)
	require.Contains(t, late.stderr, "has not ended after 1s; it may go on")
	require.Equal(t, 2, w.mcp("exec", "doing/app").code)
	missing := w.mcp("exec", "doing/app", "--", "/nothing")
	require.Equal(t, 1, missing.code)
	require.Contains(t, missing.stderr, "/nothing")
}
