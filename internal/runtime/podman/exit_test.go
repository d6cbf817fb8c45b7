package podman_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// Podman shows code 0 of a container while it restarts it.
func TestTheExitCodeOfAContainerThatIsRestarted(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	id, err := engine.Run(t.Context(), runtime.ContainerSpec{
		Name: "crashing", Image: "localhost/app:v1", Command: []string{"/app", "exit", "3"}, Restart: "always", StopTimeout: time.Second,
	})
	require.NoError(t, err)
	seen := map[runtime.State]int{}
	require.Eventually(t, func() bool {
		info, err := engine.Inspect(t.Context(), id)
		require.NoError(t, err)
		if info.Restarts > 0 {
			require.Equal(t, 3, info.ExitCode, "%s, restarts: %d", info.State, info.Restarts)
			require.Contains(t, info.End(), "exited with code 3 (restarts: ")
			seen[info.State]++
		}
		return info.Restarts > 3
	}, time.Minute, time.Millisecond)
	t.Log(seen)
	require.NoError(t, engine.Remove(t.Context(), id))
}
