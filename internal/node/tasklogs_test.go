package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/node"
)

func TestTaskLogsAreKeptUntilTheyAreOldOrTooMany(t *testing.T) {
	logs := node.TaskLogs{Dir: filepath.Join(t.TempDir(), "tasks")}
	_, err := logs.Read("shop-migrate.run-1")
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)

	require.NoError(t, logs.Keep("shop-migrate.run-1", []byte("one")))
	require.NoError(t, logs.Keep("shop-migrate.run-1", []byte("two")))
	output, err := logs.Read("shop-migrate.run-1")
	require.NoError(t, err)
	require.Equal(t, "two", string(output))

	old := time.Now().Add(-31 * 24 * time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(logs.Dir, "shop-migrate.run-1.log"), old, old))
	for i := range 1002 {
		name := filepath.Join(logs.Dir, fmt.Sprintf("shop-many.run-%d.log", i))
		require.NoError(t, os.WriteFile(name, []byte("x"), 0o600))
		at := time.Now().Add(time.Duration(i-2000) * time.Second)
		require.NoError(t, os.Chtimes(name, at, at))
	}
	require.NoError(t, logs.Keep("shop-migrate.run-2", nil))
	for name, kept := range map[string]bool{"shop-migrate.run-1": false, "shop-many.run-2": false, "shop-many.run-3": true, "shop-migrate.run-2": true} {
		_, err := logs.Read(name)
		require.Equal(t, !kept, fault.Is(err, fault.NotFound), "%s: %v", name, err)
	}
}

func TestTaskLogsStayInTheirDirectory(t *testing.T) {
	logs := node.TaskLogs{Dir: t.TempDir()}
	for _, name := range []string{"", "../x", "a/b", ".hidden"} {
		require.True(t, fault.Is(logs.Keep(name, nil), fault.Invalid), name)
	}
}
