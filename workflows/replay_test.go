package workflows_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/metacircular/mcp/workers"
)

// TestRecordedHistoriesReplay replays recorded histories with today's workflow code:
// a deploy that is under way while mcp is upgraded must go on. `make histories`
// records new ones.
func TestRecordedHistoriesReplay(t *testing.T) {
	replayer, err := workers.NewReplayer()
	require.NoError(t, err)
	outcomes, types := map[string]bool{}, map[string]bool{}
	err = filepath.WalkDir("testdata/histories", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		outcomes[strings.TrimSuffix(entry.Name(), ".json")] = true
		types[typeOf(t, path)] = true
		t.Run(strings.TrimPrefix(path, "testdata/histories/"), func(t *testing.T) {
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, path))
		})
		return nil
	})
	require.NoError(t, err)
	for _, outcome := range []string{
		"succeeded", "updated", "unchanged", "build-failed", "unhealthy", "cancelled", "inactive", "built", "adopted",
		"restarted", "stopped", "started", "purged", "fronted", "held", "held-undone", "withdrawn", "unpublished",
	} {
		require.True(t, outcomes[outcome], "a history of a deploy that %s", outcome)
	}
	for name := range workers.Workflows() {
		require.True(t, types[name], "a history of %s", name)
	}
}

// typeOf is the workflow type of a recorded history.
func typeOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var recorded history.History
	require.NoError(t, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, &recorded))
	return recorded.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowType().GetName()
}
