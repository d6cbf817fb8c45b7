package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLifeOfAnEdge(t *testing.T) {
	deploy(t, "shop", "first")
	e := newSite(t, "front", "")
	// Else what it shares is sealed to an edge that is away.
	t.Cleanup(func() { mcp(t, "edge", "remove", "front", "-y") })
	p := e.start()

	t.Run("it gets nothing before it is admitted", func(t *testing.T) {
		await(t, func() bool { return strings.Contains(p.said(), "not admitted yet") }, p.said)
		require.Contains(t, p.said(), "mcp edge admit front")
		require.False(t, e.listens())
		entries, err := os.ReadDir(filepath.Join(e.data, "publications"))
		require.NoError(t, err)
		require.Empty(t, entries)
		out := mcp(t, "edge", "show", "front")
		require.Contains(t, out, fingerprint(t, p.said()))
	})

	t.Run("then it has what is deployed, when the command ends", func(t *testing.T) {
		mcp(t, "edge", "admit", "front", "--fingerprint", fingerprint(t, p.said()))
		got, err := e.get("shop.localhost")
		require.NoError(t, err)
		require.Equal(t, "first", got)
		e.ready()
		deploy(t, "shop", "second")
		got, err = e.get("shop.localhost")
		require.NoError(t, err)
		require.Equal(t, "second", got)
	})

	t.Run("it serves through a restart while Temporal is away", func(t *testing.T) {
		p.stop()
		require.False(t, e.listens())
		e.temporal.set(true)
		p = e.start()
		e.serves("shop.localhost", "second")
		require.NotContains(t, p.said(), "msg=admitted")
		e.temporal.set(false)
		e.ready()
		deploy(t, "shop", "third")
		got, err := e.get("shop.localhost")
		require.NoError(t, err)
		require.Equal(t, "third", got)
	})

	t.Run("and after it was killed", func(t *testing.T) {
		p.kill()
		e.temporal.set(true)
		p = e.start()
		e.serves("shop.localhost", "third")
	})

	t.Run("what it has missed it gets when Temporal is back", func(t *testing.T) {
		deploy(t, "blog", "new") // does not wait for the edge that is away
		_, err := e.get("blog.localhost")
		require.Error(t, err)
		e.temporal.set(false)
		e.serves("blog.localhost", "new")
	})

	t.Run("a new process takes its place, and no connection is refused", func(t *testing.T) {
		former := p
		requests := e.during("shop.localhost", func() {
			p = e.start()
			require.Zero(t, former.ends(), former.said())
			e.ready()
			deploy(t, "shop", "fourth")
		})
		require.Greater(t, requests, 10)
		got, err := e.get("shop.localhost")
		require.NoError(t, err)
		require.Equal(t, "fourth", got)
	})

	t.Run("nor on a hangup, which starts the program anew", func(t *testing.T) {
		systemd := newNotified(t)
		former := e.startWith([]string{"NOTIFY_SOCKET=" + systemd.path})
		require.Zero(t, p.ends(), p.said())
		require.Equal(t, former.cmd.Process.Pid, systemd.mainPID(t))
		next := 0
		requests := e.during("shop.localhost", func() {
			reload := exec.Command("sh", "-c", unitCommand(t, "ExecReload"))
			reload.Env = append(os.Environ(), fmt.Sprint("MAINPID=", former.cmd.Process.Pid))
			out, err := reload.CombinedOutput()
			require.NoError(t, err, string(out))
			next = systemd.mainPID(t)
			require.Zero(t, former.ends(), former.said())
		})
		require.Positive(t, requests)
		require.NotEqual(t, former.cmd.Process.Pid, next)
		e.ready()
		p = e.start() // which the test can end
		await(t, func() bool { return syscall.Kill(next, 0) != nil }, func() string { return "the process of the hangup runs on" })
	})

	t.Run("another edge cannot have its name", func(t *testing.T) {
		rival := newSite(t, "front", "").start()
		require.Equal(t, 1, rival.ends())
		require.Contains(t, rival.said(), "mcp edge remove front")
		e.serves("shop.localhost", "fourth")
	})

	t.Run("one that was removed serves nothing, and has it back when it is admitted again", func(t *testing.T) {
		mcp(t, "edge", "remove", "front", "-y")
		await(t, func() bool { return !e.listens() }, func() string { return "it listens yet" })
		p.kill()

		e.temporal.set(true) // it knows that by itself after a boot
		p = e.start()
		await(t, func() bool { return strings.Contains(p.said(), "not announced") }, p.said)
		require.False(t, e.listens())
		e.temporal.set(false)
		await(t, func() bool { return strings.Contains(p.said(), "not admitted yet") }, p.said)
		mcp(t, "edge", "admit", "front", "-y")
		e.serves("shop.localhost", "fourth")
	})

	t.Run("its access log", func(t *testing.T) {
		_, err := e.get("shop.localhost")
		require.NoError(t, err)
		await(t, func() bool {
			out := mcp(t, "logs", "--edge", "shop")
			return strings.Contains(out, "GET") && strings.Contains(out, "shop.localhost")
		}, func() string { return "no line" })
		require.Contains(t, mcp(t, "logs", "--edge", "shop", "--json"), `"route":"http","endpoint":"shop.localhost:443"`)
	})
}

// The words of the unit start the real program.
func TestTheUnitsWords(t *testing.T) {
	words := strings.Fields(unitCommand(t, "ExecStart"))
	require.Equal(t, "/usr/local/bin/mcp-edge", words[0])
	run := func(text string) (int, string) {
		config := filepath.Join(t.TempDir(), "mcp.toml")
		require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
		cmd := exec.Command(shared.edge, append(words[1:], "--config", config)...)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		return cmd.ProcessState.ExitCode(), string(out)
	}
	code, out := run("")
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "no name")
	// And with a name as far as its directory, which is another one here.
	words = append(words, "--data", filepath.Join(shared.edge, "none"))
	code, out = run("[edge]\nname = \"front\"\n")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "create the data directory")
}

// unitCommand is what the systemd unit runs.
func unitCommand(t *testing.T, key string) string {
	t.Helper()
	unit, err := os.ReadFile("../../deploy/systemd/mcp-edge.service")
	require.NoError(t, err)
	found := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindSubmatch(unit)
	require.NotNil(t, found, key)
	return string(found[1])
}

// fingerprint is that of the key in the log of an edge.
func fingerprint(t *testing.T, log string) string {
	t.Helper()
	_, rest, found := strings.Cut(log, "fingerprint=")
	require.True(t, found, log)
	value, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(value)
}
