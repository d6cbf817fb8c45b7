package node_test

import (
	"encoding/json"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/node"
)

func TestReadStatus(t *testing.T) {
	status, err := node.ReadStatus(t.Context())
	require.NoError(t, err)

	t.Run("it is this host's", func(t *testing.T) {
		hostname, err := os.Hostname()
		require.NoError(t, err)
		require.Equal(t, hostname, status.Hostname)
		require.Equal(t, runtime.GOARCH, status.Arch)
		kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
		require.NoError(t, err)
		require.Equal(t, string(kernel), status.Kernel+"\n")
	})

	t.Run("its figures are possible", func(t *testing.T) {
		require.Positive(t, status.UptimeSeconds)
		require.GreaterOrEqual(t, status.CPUPercent, 0.0)
		require.LessOrEqual(t, status.CPUPercent, 100.0)
		require.GreaterOrEqual(t, status.Load, 0.0)
		for _, usage := range []node.Usage{status.Memory, status.Disk} {
			require.Positive(t, usage.Used)
			require.Less(t, usage.Used, usage.Total)
		}
	})

	t.Run("its JSON has the names that status shows", func(t *testing.T) {
		text, err := json.Marshal(status)
		require.NoError(t, err)
		var fields map[string]any
		require.NoError(t, json.Unmarshal(text, &fields))
		for _, name := range []string{"uptime_seconds", "cpu_percent", "load", "memory", "disk", "kernel", "arch", "hostname"} {
			require.Contains(t, fields, name)
		}
		require.Contains(t, fields["memory"], "total")
		require.Contains(t, fields["disk"], "used")
	})
}
