package podman_test

import (
	"context"
	"net/http"
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
