package podman_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// removalTries bounds how often the test kills podman's service to meet it in
// mid-removal, some milliseconds later each time.
const removalTries = 100

// Podman may be met with the container's storage still there, or already gone.
func TestAContainerWhoseRemovalWasCutOff(t *testing.T) {
	dir := t.TempDir()
	service := startPodman(t, dir)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	spec := runtime.ContainerSpec{Name: "cut", Image: "localhost/app:v1", Command: []string{"/app", "serve"}, StopTimeout: time.Second, Labels: map[string]string{"mcp.service": "shop"}}

	again := func(t *testing.T, meanwhile func()) {
		t.Helper()
		require.NoError(t, syscall.Kill(service.PID(), syscall.SIGKILL))
		<-service.Done()
		meanwhile()
		service = startPodman(t, dir)
		engine = podman.New(service.Socket())
	}
	// cutRemoval leaves a container that podman was removing when it was killed.
	cutRemoval := func(t *testing.T) runtime.ContainerInfo {
		t.Helper()
		for try := range removalTries {
			_, err := engine.Run(t.Context(), spec)
			require.NoError(t, err)
			require.NoError(t, engine.Stop(t.Context(), spec.Name, time.Second))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = engine.Remove(ctx, spec.Name)
			}()
			time.Sleep(time.Duration(try%25) * 2 * time.Millisecond)
			again(t, func() {
				cancel()
				<-done
			})
			info, err := engine.Inspect(t.Context(), spec.Name)
			if err == nil && info.State == runtime.Removing {
				return info
			}
		}
		t.Fatalf("podman was not met in mid-removal in %d tries", removalTries)
		return runtime.ContainerInfo{}
	}

	t.Run("is stopped, and can be removed", func(t *testing.T) {
		half := cutRemoval(t)
		all, err := engine.List(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, half, all[0])
		require.NoError(t, engine.Stop(t.Context(), spec.Name, time.Second))
		require.NoError(t, engine.Remove(t.Context(), spec.Name))
		_, err = engine.Inspect(t.Context(), spec.Name)
		require.True(t, fault.Is(err, fault.NotFound), err)
	})

	t.Run("can be removed where its storage has gone already", func(t *testing.T) {
		id, err := engine.Run(t.Context(), spec)
		require.NoError(t, err)
		require.NoError(t, engine.Stop(t.Context(), spec.Name, time.Second))
		again(t, func() { // podman rarely is met so; this takes the container out of its storage's list
			lists, err := filepath.Glob(filepath.Join(dir, "root", "*-containers", "*containers.json"))
			require.NoError(t, err)
			require.NotEmpty(t, lists)
			for _, list := range lists {
				require.NoError(t, os.WriteFile(list, []byte("[]"), 0o600))
			}
		})
		half, err := engine.Inspect(t.Context(), spec.Name)
		require.NoError(t, err)
		require.Equal(t, []any{id, spec.Name, runtime.Removing}, []any{half.ID, half.Name, half.State})
		require.Equal(t, spec.Labels, map[string]string{"mcp.service": half.Labels["mcp.service"]})
		all, err := engine.List(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, []runtime.ContainerInfo{half}, all)
		require.NoError(t, engine.Stop(t.Context(), spec.Name, time.Second))
		require.NoError(t, engine.Remove(t.Context(), spec.Name))
		_, err = engine.Inspect(t.Context(), spec.Name)
		require.True(t, fault.Is(err, fault.NotFound), err)
	})

	t.Run("makes way for another Run of the same container", func(t *testing.T) {
		half := cutRemoval(t)
		id, err := engine.Run(t.Context(), spec)
		require.NoError(t, err)
		require.NotEqual(t, half.ID, id)
		require.NoError(t, engine.Remove(t.Context(), spec.Name))
	})
}
