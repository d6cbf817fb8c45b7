package node_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/node"
)

func TestReadStatus(t *testing.T) {
	dir := t.TempDir()
	status, err := node.ReadStatus(t.Context(), dir)
	require.NoError(t, err)

	t.Run("the values are those of this host", func(t *testing.T) {
		hostname, err := os.Hostname()
		require.NoError(t, err)
		require.Equal(t, hostname, status.Hostname)
		require.Equal(t, runtime.GOARCH, status.Arch)
		kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
		require.NoError(t, err)
		require.Equal(t, string(kernel), status.Kernel+"\n")
		low, high, err := node.EphemeralRange()
		require.NoError(t, err)
		require.Equal(t, []int{low, high}, []int{status.EphemeralLow, status.EphemeralHigh})
		var space syscall.Statfs_t
		require.NoError(t, syscall.Statfs(dir, &space))
		require.Equal(t, space.Blocks*uint64(space.Bsize), status.Disk.Total)
	})

	t.Run("the figures are plausible", func(t *testing.T) {
		require.Positive(t, status.UptimeSeconds)
		for _, load := range status.Load {
			require.GreaterOrEqual(t, load, 0.0)
		}
		for _, usage := range []fleet.Usage{status.Memory, status.Disk} {
			require.Positive(t, usage.Used)
			require.Less(t, usage.Used, usage.Total)
		}
	})

	t.Run("processor use is measured since the last read", func(t *testing.T) {
		for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); { // work
		}
		status, err := node.ReadStatus(t.Context(), dir)
		require.NoError(t, err)
		require.Positive(t, status.CPUPercent)
		require.LessOrEqual(t, status.CPUPercent, 100.0)
	})

	t.Run("the error of a missing directory names it", func(t *testing.T) {
		gone := filepath.Join(dir, "gone")
		_, err := node.ReadStatus(t.Context(), gone)
		require.ErrorContains(t, err, gone)
	})
}
