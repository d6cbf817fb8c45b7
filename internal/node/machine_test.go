package node_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/node"
)

func TestMachineID(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state", "machine")
	var ids [8]string
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() { ids[i], _ = node.MachineID(path) })
	}
	group.Wait()
	for _, id := range ids {
		require.Regexp(t, `^[0-9a-f]{16}$`, id)
		require.Equal(t, ids[0], id, "all callers get the first one")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)

	other, err := node.MachineID(filepath.Join(dir, "other"))
	require.NoError(t, err)
	require.NotEqual(t, ids[0], other)

	system := filepath.Join(dir, "machine-id")
	require.NoError(t, os.WriteFile(system, []byte("0123456789abcdef0123456789abcdef\n"), 0o444))
	id, err := node.MachineID(system)
	require.NoError(t, err)
	require.NotContains(t, "0123456789abcdef0123456789abcdef", id)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600))
	_, err = node.MachineID(filepath.Join(dir, "empty"))
	require.ErrorContains(t, err, "is empty")
}
