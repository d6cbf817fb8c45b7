package e2e

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows"
)

// record is set by `make histories`.
var record = flag.String("record", "", "directory to write the histories to")

// TestEveryOutcomeReplays runs a deploy to each outcome, and replays its history. With
// -record it also writes the histories, for the replay test of package workflows. The
// test of pruning adds the history of a deploy that prunes.
func TestEveryOutcomeReplays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	deploy := workflows.DeployID("replay")

	w.define("replay", w.service("replay", "v1", ""))
	w.deploy("replay")
	w.replays("succeeded", deploy)
	w.deploy("replay")
	w.replays("unchanged", deploy)

	w.source("v2", "")
	w.define("replay", w.service("replay", "v2", ""))
	w.deploy("replay")
	w.replays("updated", deploy)

	w.source("v3", "COPY nothing-there /x")
	w.define("replay", w.service("replay", "v3", ""))
	require.Equal(t, 1, w.mcp("deploy", "replay").code)
	w.replays("build-failed", deploy)
	require.Equal(t, 1, w.mcp("build", "replay").code)
	w.replays("not-built", workflows.BuildID("replay"))
	w.source("v4", "")
	w.define("replay", w.service("replay", "v4", ""))
	require.Zero(t, w.mcp("build", "replay").code)
	w.replays("built", workflows.BuildID("replay"))

	w.define("replay", w.service("replay", "v2", `order = "stop-first"`+"\n"+`env = { MODE = "exit" }`))
	require.Equal(t, 1, w.mcp("deploy", "replay").code)
	w.replays("unhealthy", deploy)

	w.define("replay", w.startingWithin("60s", "replay", "v2", `env = { MODE = "deaf" }`))
	cancelled := make(chan reply, 1)
	go func() { cancelled <- w.mcp("deploy", "replay") }()
	w.awaitAttempt(deploy, "RunContainer", 1)
	require.NoError(t, w.temporal().CancelWorkflow(t.Context(), deploy, ""))
	r := <-cancelled
	require.Equal(t, 1, r.code, r)
	w.replays("cancelled", deploy)

	w.define("replay", "active = false\n"+w.service("replay", "v2", ""))
	w.deploy("replay")
	w.replays("inactive", deploy)

	require.Zero(t, w.mcp("undeploy", "replay", "-y").code)
	w.replays("undeployed", deploy)

	w.define("replay", w.service("replay", "v2", ""))
	w.byHand("replay-app", w.pushed("replay", "v2"), w.freePort())
	w.adopt("replay")
	w.replays("adopted", deploy)

	w.change(workflows.Succeeded, "restart", "replay")
	w.replays("restarted", deploy)
	w.change(workflows.Succeeded, "stop", "replay")
	w.replays("stopped", deploy)
	w.change(workflows.Succeeded, "start", "replay")
	w.replays("started", deploy)
	w.change(workflows.Succeeded, "undeploy", "replay", "-y")
	w.change(workflows.Succeeded, "purge", "replay", "-y")
	w.replays("purged", deploy)
}

// replays replays the newest history of a workflow id.
func (w *world) replays(name, id string) {
	w.t.Helper()
	var h history.History
	events := w.temporal().GetWorkflowHistory(w.t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(w.t, err)
		h.Events = append(h.Events, event)
	}
	replayer := worker.NewWorkflowReplayer()
	workers.RegisterWorkflows(replayer)
	require.NoError(w.t, replayer.ReplayWorkflowHistory(nil, &h), name)
	if *record == "" {
		return
	}
	text, err := protojson.Marshal(&h)
	require.NoError(w.t, err)
	require.NoError(w.t, os.MkdirAll(*record, 0o755))
	require.NoError(w.t, os.WriteFile(filepath.Join(*record, name+".json"), w.anonymous(text), 0o644))
}

// anonymous removes this machine's name and the paths of this test from a history.
func (w *world) anonymous(text []byte) []byte {
	w.t.Helper()
	host, err := os.Hostname()
	require.NoError(w.t, err)
	plain := strings.NewReplacer(host, "host", w.dir, "/srv/mcp")
	var walk func(key string, value any) any
	walk = func(key string, value any) any {
		switch v := value.(type) {
		case map[string]any:
			for k, inner := range v {
				v[k] = walk(k, inner)
			}
		case []any:
			for i, inner := range v {
				v[i] = walk(key, inner)
			}
		case string:
			if data, err := base64.StdEncoding.DecodeString(v); err == nil && key == "data" {
				return base64.StdEncoding.EncodeToString([]byte(plain.Replace(string(data))))
			}
			return plain.Replace(v)
		}
		return value
	}
	var tree any
	require.NoError(w.t, json.Unmarshal(text, &tree))
	out, err := json.MarshalIndent(walk("", tree), "", " ")
	require.NoError(w.t, err)
	return append(out, '\n')
}
