package node_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/node"
)

// mounted mounts a file system of one megabyte on a directory, and returns the
// directory.
func mounted(t *testing.T, dir string, flags uintptr) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", flags, "size=1m"))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

func TestDisks(t *testing.T) {
	dir := t.TempDir()
	storage := filepath.Join(dir, "storage")
	require.NoError(t, os.Mkdir(storage, 0o755))
	a := mounted(t, filepath.Join(dir, "data a"), 0)
	b := mounted(t, filepath.Join(a, "deeper"), 0)
	fixed := mounted(t, filepath.Join(dir, "fixed"), syscall.MS_RDONLY)
	mounted(t, filepath.Join(dir, "data"), 0)
	require.NoError(t, os.WriteFile(filepath.Join(a, "half"), make([]byte, 1<<19), 0o600))

	var disks node.Disks
	found, err := disks.Of([]string{
		filepath.Join(b, "x"), filepath.Join(a, "y"), a, filepath.Join(a, "deep"), b, // each once
		dir,               // on the storage's file system
		fixed,             // read-only
		"/proc/self/mem",  // has no size
		"/nowhere/at/all", // on the root's, which may be the storage's
	}, storage)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(found), 2)
	require.Equal(t, fleet.Disk{Path: b, Usage: fleet.Usage{Total: 1 << 20}}, found[0])
	require.Equal(t, fleet.Disk{Path: a, Usage: fleet.Usage{Total: 1 << 20, Used: 1 << 19}}, found[1])
	for _, d := range found[2:] {
		require.Equal(t, "/", d.Path)
	}
	none, err := disks.Of([]string{storage}, storage)
	require.NoError(t, err)
	require.Empty(t, none)
}
