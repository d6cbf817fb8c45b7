package workflows_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/workers"
)

// TestRecordedHistoriesReplay replays recorded histories with today's workflow code:
// a deploy that is under way while mcp is upgraded must go on. `make histories`
// records new ones.
func TestRecordedHistoriesReplay(t *testing.T) {
	replayer := worker.NewWorkflowReplayer()
	workers.RegisterWorkflows(replayer)
	outcomes := map[string]bool{}
	err := filepath.WalkDir("testdata/histories", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		outcomes[strings.TrimSuffix(entry.Name(), ".json")] = true
		t.Run(strings.TrimPrefix(path, "testdata/histories/"), func(t *testing.T) {
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, path))
		})
		return nil
	})
	require.NoError(t, err)
	for _, outcome := range []string{
		"succeeded", "updated", "unchanged", "build-failed", "unhealthy", "cancelled", "inactive", "built", "adopted",
		"restarted", "stopped", "started", "purged",
	} {
		require.True(t, outcomes[outcome], "a history of a deploy that %s", outcome)
	}
}
