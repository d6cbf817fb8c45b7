package podman_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/node"
	"github.com/metacircular/mcp/internal/probe"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/servicedef"
)

// processesOf counts the processes of this host that have an argument.
func processesOf(t *testing.T, argument string) int {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	count := 0
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err == nil && bytes.Contains(line, []byte("\x00"+argument+"\x00")) {
			count++
		}
	}
	return count
}

func await(t *testing.T, reached func() bool) {
	t.Helper()
	require.Eventually(t, reached, 2*time.Minute, 20*time.Millisecond)
}

// freePort returns a port that nothing on this host listens on.
func freePort(t *testing.T) int {
	t.Helper()
	found, err := node.PortOptions{Low: 20000, High: 30000}.FreePorts(1)
	require.NoError(t, err)
	return found[0]
}

func TestHealthChecksOfContainers(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	run := func(t *testing.T, spec runtime.ContainerSpec) {
		t.Helper()
		spec.Image, spec.Command, spec.Restart = "localhost/app:v1", []string{"/app", "serve"}, "no"
		_, err := engine.Run(t.Context(), spec)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, engine.Remove(context.WithoutCancel(t.Context()), spec.Name)) })
	}

	t.Run("what a check has started ends with its timeout", func(t *testing.T) {
		run(t, runtime.ContainerSpec{Name: "checked", Env: map[string]string{"PORT": "8000"}})
		const whole, left = "4217s", "4218s"

		// An operator's command goes on.
		cut, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := engine.Exec(cut, "checked", []string{"/app", "twice", left})
			ended <- err
		}()
		await(t, func() bool { return processesOf(t, left) == 2 })
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		require.Equal(t, 2, processesOf(t, left))

		checking, end := context.WithCancelCause(t.Context())
		go func() {
			_, err := engine.Check(checking, "checked", []string{"/app", "twice", whole})
			ended <- err
		}()
		await(t, func() bool { return processesOf(t, whole) == 2 })
		end(errors.New("too late"))
		require.ErrorIs(t, <-ended, context.Canceled)
		await(t, func() bool { return processesOf(t, whole) == 0 })
		require.Equal(t, 2, processesOf(t, left), "only what the check has started")

		result, err := engine.Check(t.Context(), "checked", []string{"/app", "exit", "4"})
		require.NoError(t, err)
		require.Equal(t, 4, result.ExitCode)
	})

	t.Run("what the check of an earlier worker has left ends with the first of this one", func(t *testing.T) {
		run(t, runtime.ContainerSpec{Name: "inherited", Env: map[string]string{"PORT": "8000"}})
		const left = "4219s"
		earlier, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			_, _ = podman.New(service.Socket()).Check(earlier, "inherited", []string{"/app", "twice", left})
		}()
		await(t, func() bool { return processesOf(t, left) == 2 })
		_, err := engine.Check(t.Context(), "inherited", []string{"/app", "echo"})
		require.NoError(t, err)
		await(t, func() bool { return processesOf(t, left) == 0 })
	})

	t.Run("a port that podman holds and does not forward is not the container's answer", func(t *testing.T) {
		port := freePort(t)
		run(t, runtime.ContainerSpec{
			Name: "forwarded", Env: map[string]string{"PORT": "8000"},
			Ports: []servicedef.Port{
				{IP: "127.0.0.1", Host: port, Container: 8000, Protocol: "tcp"},
				{IP: "::1", Host: port, Container: 8000, Protocol: "tcp"}, // the network has no IPv6
			},
		})
		container := func(ctx context.Context) (int, error) {
			info, err := engine.Inspect(ctx, "forwarded")
			return info.PID, err
		}
		forwarded := func(ip string) error {
			return probe.Prober{}.Forwarded(t.Context(), net.JoinHostPort(ip, strconv.Itoa(port)), 8000, container, 5*time.Second)
		}
		await(t, func() bool { return forwarded("127.0.0.1") == nil })
		require.NoError(t, probe.Prober{}.TCP(t.Context(), net.JoinHostPort("::1", strconv.Itoa(port)), 5*time.Second), "podman's own socket")
		err := forwarded("::1")
		require.ErrorContains(t, err, "podman holds the port, and forwards no connection to the container")
		require.Contains(t, fault.Of(err).Hint, "whose network has IPv6")
	})
}
