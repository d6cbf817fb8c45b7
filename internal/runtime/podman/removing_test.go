package podman_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// removalTries bounds how often the test kills podman's service to meet it in
// mid-removal, some milliseconds later each time.
const removalTries = 100

func TestAContainerWhoseRemovalWasCutOff(t *testing.T) {
	dir := t.TempDir()
	service := startPodman(t, dir)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	spec := runtime.ContainerSpec{Name: "cut", Image: "localhost/app:v1", Command: []string{"/app", "serve"}, StopTimeout: time.Second}

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
			require.NoError(t, syscall.Kill(service.PID(), syscall.SIGKILL))
			<-service.Done()
			cancel()
			<-done
			service = startPodman(t, dir)
			engine = podman.New(service.Socket())
			info, err := engine.Inspect(t.Context(), spec.Name)
			if err == nil && info.State == runtime.Removing {
				return info
			}
		}
		t.Fatalf("podman was not met in mid-removal in %d tries", removalTries)
		return runtime.ContainerInfo{}
	}

	t.Run("is stopped, and can be removed", func(t *testing.T) {
		cutRemoval(t)
		require.NoError(t, engine.Stop(t.Context(), spec.Name, time.Second))
		require.NoError(t, engine.Remove(t.Context(), spec.Name))
		_, err := engine.Inspect(t.Context(), spec.Name)
		require.Error(t, err)
	})

	t.Run("makes way for another Run of the same container", func(t *testing.T) {
		half := cutRemoval(t)
		id, err := engine.Run(t.Context(), spec)
		require.NoError(t, err)
		require.NotEqual(t, half.ID, id)
		require.NoError(t, engine.Remove(t.Context(), spec.Name))
	})
}
