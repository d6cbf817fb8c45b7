package podman_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// removalTries bounds the attempts to kill podman's service during a removal,
// each some milliseconds later.
const removalTries = 100

// When podman is killed, the container's storage may exist or be gone already.
func TestAContainerWhoseRemovalWasInterrupted(t *testing.T) {
	dir := t.TempDir()
	service := startPodman(t, dir)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	spec := runtime.ContainerSpec{Name: "cut", Image: "localhost/app:v1", Command: []string{"/app", "serve"}, StopTimeout: time.Second, Labels: map[string]string{"mcp.service": "shop"}}

	restart := func(t *testing.T, meanwhile func()) {
		t.Helper()
		require.NoError(t, syscall.Kill(service.PID(), syscall.SIGKILL))
		<-service.Done()
		meanwhile()
		service = startPodman(t, dir)
		engine = podman.New(service.Socket())
	}
	// interruptRemoval returns a container that podman was removing when it was
	// killed.
	interruptRemoval := func(t *testing.T) runtime.ContainerInfo {
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
			restart(t, func() {
				cancel()
				<-done
			})
			info, err := engine.Inspect(t.Context(), spec.Name)
			if err == nil && info.State == runtime.Removing {
				return info
			}
		}
		t.Fatalf("podman was not killed during a removal in %d attempts", removalTries)
		return runtime.ContainerInfo{}
	}

	t.Run("is stopped, and can be removed", func(t *testing.T) {
		half := interruptRemoval(t)
		all, err := engine.List(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, half, all[0])
		require.NoError(t, engine.Stop(t.Context(), spec.Name, time.Second))
		require.NoError(t, engine.Remove(t.Context(), spec.Name))
		_, err = engine.Inspect(t.Context(), spec.Name)
		require.True(t, fault.Is(err, fault.NotFound), err)
	})

	// Podman is rarely killed at these points, so the test completes its work.
	for name, meanwhile := range map[string]func(t *testing.T, root string){
		"its storage": dropContainers, "its layer": dropContainersLayers,
	} {
		t.Run("can be removed after "+name+" is gone", func(t *testing.T) {
			id, err := engine.Run(t.Context(), spec)
			require.NoError(t, err)
			require.NoError(t, engine.Stop(t.Context(), spec.Name, time.Second))
			restart(t, func() { meanwhile(t, filepath.Join(dir, "root")) })
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
	}

	t.Run("is replaced by another Run of the same container", func(t *testing.T) {
		half := interruptRemoval(t)
		id, err := engine.Run(t.Context(), spec)
		require.NoError(t, err)
		require.NotEqual(t, half.ID, id)
		require.NoError(t, engine.Remove(t.Context(), spec.Name))
	})
}

// entry is an entry of a list in podman's storage.
type entry = map[string]any

// dropContainers removes all containers from the storage's lists.
func dropContainers(t *testing.T, root string) {
	t.Helper()
	rewrite(t, filepath.Join(root, "*-containers", "*containers.json"), func(entry) bool { return false })
}

// dropContainersLayers removes the layers of all containers from the storage's
// lists.
func dropContainersLayers(t *testing.T, root string) {
	t.Helper()
	layers := map[any]bool{}
	rewrite(t, filepath.Join(root, "*-containers", "*containers.json"), func(c entry) bool {
		layers[c["layer"]] = true
		return true
	})
	require.NotEmpty(t, layers)
	rewrite(t, filepath.Join(root, "*-layers", "*layers.json"), func(l entry) bool { return !layers[l["id"]] })
}

// rewrite removes the entries for which keep returns false from the lists in the
// files.
func rewrite(t *testing.T, pattern string, keep func(entry) bool) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var list []entry
		require.NoError(t, json.Unmarshal(text, &list))
		text, err = json.Marshal(slices.DeleteFunc(list, func(e entry) bool { return !keep(e) }))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, text, 0o600))
	}
}
