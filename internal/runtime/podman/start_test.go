package podman_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

func TestStartAfterAnInterruptedStop(t *testing.T) {
	dir := t.TempDir()
	service := startPodman(t, dir)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	run := func(t *testing.T, name string, command ...string) runtime.ContainerInfo {
		t.Helper()
		_, err := engine.Run(t.Context(), runtime.ContainerSpec{
			Name: name, Image: "localhost/app:v1", Command: command, StopTimeout: time.Second,
		})
		require.NoError(t, err)
		info, err := engine.Inspect(t.Context(), name)
		require.NoError(t, err)
		return info
	}
	requireStartedAgain := func(t *testing.T, first runtime.ContainerInfo) {
		t.Helper()
		now, err := engine.Inspect(t.Context(), first.ID)
		require.NoError(t, err)
		require.Equal(t, runtime.Running, now.State)
		require.Greater(t, now.Started, first.Started)
		require.NoError(t, engine.Remove(t.Context(), first.ID))
	}

	t.Run("a stop that podman receives after the start's first inspection does not win", func(t *testing.T) {
		first := run(t, "late", "/app", "serve")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		returned := make(chan struct{})
		pass := toPodman(service.Socket())
		late := podman.New(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/stop") {
				cancel()
				<-returned
				time.Sleep(300 * time.Millisecond) // the start inspects meanwhile
				detached, done := context.WithTimeout(context.WithoutCancel(r.Context()), time.Minute)
				defer done()
				r = r.WithContext(detached)
			}
			pass.ServeHTTP(w, r)
		})))
		require.ErrorIs(t, late.Stop(ctx, "late", time.Second), context.Canceled)
		close(returned)
		require.NoError(t, late.Start(t.Context(), "late"))
		requireStartedAgain(t, first)
	})

	t.Run("a stop that was answered does not delay a start", func(t *testing.T) {
		run(t, "plain", "/app", "serve")
		var inspections atomic.Int32
		pass := toPodman(service.Socket())
		counted := podman.New(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/json"):
				inspections.Add(1)
			case strings.HasSuffix(r.URL.Path, "/start"):
				inspections.Store(0) // before, podman may have been cleaning up
			}
			pass.ServeHTTP(w, r)
		})))
		require.NoError(t, counted.Stop(t.Context(), "plain", time.Second))
		require.NoError(t, counted.Start(t.Context(), "plain"))
		require.Zero(t, inspections.Load(), "a start watches for nothing")
		require.NoError(t, counted.Start(t.Context(), "plain"))
		require.EqualValues(t, 1, inspections.Load(), "and one of a container that runs inspects once")
		require.NoError(t, engine.Remove(t.Context(), "plain"))
	})

	t.Run("a start stops waiting for a stop when its context ends", func(t *testing.T) {
		run(t, "waiting", "/app", "stubborn")
		interruptStop(t, engine, "waiting", time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, engine.Start(ctx, "waiting"), context.DeadlineExceeded)
		require.NoError(t, engine.Remove(t.Context(), "waiting"))
	})

	t.Run("a start completes a stop that podman's service did not survive", func(t *testing.T) {
		first := run(t, "orphaned", "/app", "stubborn")
		interruptStop(t, engine, "orphaned", time.Minute)
		require.NoError(t, syscall.Kill(service.PID(), syscall.SIGKILL))
		<-service.Done()
		service = startPodman(t, dir)
		engine = podman.New(service.Socket())
		info, err := engine.Inspect(t.Context(), "orphaned")
		require.NoError(t, err)
		require.Equal(t, runtime.Other, info.State)
		require.NoError(t, engine.Start(t.Context(), "orphaned"))
		requireStartedAgain(t, first)
	})
}

// A podman that is killed between the start of a program and the note of it in its database
// has a container that it cannot start, because it runs.
func TestARunThatPodmanHasNotNoted(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	client := http.Client{Transport: transportTo(service.Socket())}
	unnoted := func(t *testing.T, policy string) (id string, pid int) {
		t.Helper()
		_, err := engine.Run(t.Context(), runtime.ContainerSpec{
			Name: "unnoted", Image: "localhost/app:v1", Command: []string{"/app", "serve"}, StopTimeout: time.Second, Restart: policy,
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, engine.Remove(context.WithoutCancel(t.Context()), "unnoted")) })
		first, err := engine.Inspect(t.Context(), "unnoted")
		require.NoError(t, err)
		var known struct{ State struct{ ConmonPid int } }
		require.NoError(t, ask(service.Socket(), "containers/unnoted/json", &known))
		require.NoError(t, engine.Stop(t.Context(), "unnoted", time.Second))
		// The process that watched the program becomes podman's clean-up after it, which
		// would take the next run for the one that has ended.
		require.Eventually(t, func() bool {
			return errors.Is(syscall.Kill(known.State.ConmonPid, 0), syscall.ESRCH)
		}, time.Minute, 10*time.Millisecond)
		answer, err := client.Post("http://podman/v4.0.0/libpod/containers/unnoted/init", "", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, answer.StatusCode)
		require.NoError(t, answer.Body.Close())
		out, err := exec.Command("runc", "start", first.ID).CombinedOutput()
		require.NoError(t, err, string(out))
		info, err := engine.Inspect(t.Context(), "unnoted")
		require.NoError(t, err)
		require.Equal(t, runtime.Created, info.State, "podman does not know that it runs")
		out, err = exec.Command("runc", "state", first.ID).Output()
		require.NoError(t, err)
		var state struct {
			Pid    int
			Status string
		}
		require.NoError(t, json.Unmarshal(out, &state))
		require.Equal(t, "running", state.Status)
		return first.ID, state.Pid
	}
	for _, policy := range []string{"no", "always"} {
		t.Run("it is started, with restart "+policy, func(t *testing.T) {
			id, _ := unnoted(t, policy)
			require.NoError(t, engine.Start(t.Context(), "unnoted"))
			now, err := engine.Inspect(t.Context(), "unnoted")
			require.NoError(t, err)
			require.Equal(t, runtime.Running, now.State)
			require.Equal(t, id, now.ID)
		})
		t.Run("it is stopped, with restart "+policy, func(t *testing.T) {
			_, pid := unnoted(t, policy)
			require.NoError(t, engine.Stop(t.Context(), "unnoted", time.Second))
			now, err := engine.Inspect(t.Context(), "unnoted")
			require.NoError(t, err)
			require.Equal(t, runtime.Stopped, now.State)
			require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
		})
		t.Run("it is removed, with restart "+policy, func(t *testing.T) {
			_, pid := unnoted(t, policy)
			require.NoError(t, engine.Remove(t.Context(), "unnoted"))
			require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
		})
	}
}

// interruptStop begins to stop a container that ignores the signal, and cancels
// the stop.
func interruptStop(t *testing.T, engine *podman.Engine, name string, timeout time.Duration) {
	t.Helper()
	require.Eventually(t, func() bool {
		lines, err := runtime.LastLines(t.Context(), engine, name, 1, 100)
		return err == nil && len(lines) == 1
	}, time.Minute, 20*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, engine.Stop(ctx, name, timeout), context.DeadlineExceeded)
}
