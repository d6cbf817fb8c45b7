package e2e

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/metacircular/mcp/activities/onbuilder"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
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

// TestEveryTypeReplays runs each type of workflow, and replays its history. With -record
// it also writes the histories.
func TestEveryTypeReplays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone(fmt.Sprintf("workspace = %q", w.workspace), "[monitor]", fmt.Sprintf("interval = %q", monitorInterval),
		"[alerts]", `command = ["/bin/cat"]`, "[secrets]", fmt.Sprintf("signing_key = %q", filepath.Join(w.dir, "signing.key")))
	w.worker("--control", "--listen", "off")
	w.worker("--node", w.node, "--listen", "off")
	name := w.node + "-types"
	ok := func(args ...string) {
		t.Helper()
		r := w.mcp(args...)
		require.Zero(t, r.code, "mcp %s: %s", strings.Join(args, " "), r)
	}
	w.source("v1", "")
	w.define(name, w.service(name, "v1", ""))
	ok("build", name)
	ok("sync")
	ok("plan", name)
	ok("secret", "set", name+"/db", "--exec", "echo one")
	w.starts(reads.EnvelopesName, oncontrol.LoadEnvelopesInput{Refs: []secrets.Ref{{Service: name, Name: "db", Version: 1}}})
	first := w.deploy(name)
	require.Equal(t, 1, w.mcp("secret", "rotate", name+"/db", "--exec", "echo two").code, "no component has the secret")
	ok("secret", "rm", name+"/db", "-y")
	w.define(name, w.service(name, "v1", `env = { A = "b" }`))
	w.deploy(name)
	ok("rollback", name)
	for _, read := range [][]string{
		{"status"}, {"ps"}, {"history", name}, {"service", "list"}, {"logs", name}, {"doctor"}, {"exec", name, "--", "/app", "-h"},
		{"events"}, {"node", "list"}, {"node", "show", w.node}, {"node", "policy", w.node}, {"node", "drain", w.node}, {"node", "activate", w.node},
		{"adopt", name, "--dry-run"}, {"audit"},
	} {
		w.mcp(read...) // whatever the answer is, the workflow has one
	}
	w.podman("stop", "--time", "0", name+"-app")
	require.Eventually(t, func() bool { return len(w.events(name)) > 0 }, time.Minute, 200*time.Millisecond, "the stopped container is an event, and an alert")
	ok("start", name)
	definition := servicedef.Service{Name: name, Node: w.node, Active: true, Components: []servicedef.Component{{Name: "app", Node: w.node, Image: first.Components[0].Image}}}
	w.starts(workflows.MendName, workflows.MendInput{Definition: definition, Deployment: w.newest(name), Nodes: []string{w.node}})
	w.starts(reads.ServicesName)
	entry := fleet.AuditEntry{Key: "replay", Actor: fleet.Unknown(), Action: fleet.Action{Verb: "deploy", Service: name}}
	w.starts(workflows.RecordAuditName, workflows.RecordAuditInput{Entries: []fleet.AuditEntry{entry}})
	w.worker("--builder", w.builder, "--listen", "off")
	w.starts(reads.BuildLogName, reads.BuildLogInput{Builder: w.builder, BuildLogInput: onbuilder.BuildLogInput{Service: name, Bytes: 1 << 10}})
	w.edgesReplay()
	w.jobsReplay(name)
	require.NoError(t, w.temporal().ScheduleClient().GetHandle(t.Context(), tend.RetentionID).Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	ok("undeploy", name, "-y")
	w.starts(reads.PurgeableName, name)
	ok("purge", name, "-y")
	ok("node", "remove", w.node, "-y")
	for _, workflow := range slices.Sorted(maps.Keys(workers.Workflows())) {
		id, run := w.closed(workflow)
		w.replaysRun(strings.ToLower(workflow), id, run)
	}
}

// edgesReplay runs the workflows of edges, and deploys that edges take part in.
func (w *world) edgesReplay() {
	w.t.Helper()
	e, name := w.edge(w.node+"-edge"), w.node+"-fronted"
	w.define(name, w.fronted(name, "v1", `order = "stop-first"`))
	w.deploy(name)
	w.replays("fronted", workflows.DeployID(name))
	w.change(workflows.Succeeded, "restart", name)
	w.replays("held", workflows.DeployID(name))
	w.define(name, w.fronted(name, "v1", `order = "stop-first"`+"\n"+`env = { MODE = "exit" }`))
	require.Equal(w.t, 1, w.mcp("deploy", name).code)
	w.replays("held-undone", workflows.DeployID(name))
	w.change(workflows.Succeeded, "stop", name)
	w.replays("withdrawn", workflows.DeployID(name))
	_, err := e.Announce(w.t.Context())
	require.NoError(w.t, err)
	for _, o := range []fleet.StorageOperation{
		{Verb: fleet.StorageStore, Key: "replay/a", Value: []byte("sealed")}, {Verb: fleet.StorageLoad, Key: "replay/a"},
		{Verb: fleet.StorageDelete, Key: "replay/a"},
	} {
		_, err := e.UseStorage(w.t.Context(), o)
		require.NoError(w.t, err)
	}
	w.starts(reads.EdgesName, reads.EdgesInput{})
	w.starts(reads.RoutesName, reads.RoutesInput{})
	w.starts(reads.AccessLogName, reads.AccessLogInput{Service: name, Tail: 10})
	w.starts(workflows.MaintainName, workflows.MaintainInput{Service: name, On: true})
	w.change(workflows.Succeeded, "undeploy", name, "-y")
	w.replays("unpublished", workflows.DeployID(name))
	w.starts(tend.RemoveEdgeName, e.Name)
	w.change(workflows.Succeeded, "purge", name, "-y")
}

// newest is the number of the newest deployment of a service.
func (w *world) newest(service string) int {
	w.t.Helper()
	var known reads.HistoryResult
	w.mcp("history", service, "--json").decode(w.t, &known)
	return known.Deployments[0].Number
}

// starts runs a workflow to its end.
func (w *world) starts(workflow string, in ...any) {
	w.t.Helper()
	run, err := w.temporal().ExecuteWorkflow(w.t.Context(), client.StartWorkflowOptions{TaskQueue: workflows.Queue}, workflow, in...)
	require.NoError(w.t, err)
	require.NoError(w.t, run.Get(w.t.Context(), nil))
}

// closed finds a run of a workflow that has ended by itself, the newest that has
// completed if any has. Temporal indexes it a moment later.
func (w *world) closed(workflow string) (id, run string) {
	w.t.Helper()
	c := w.temporal()
	require.Eventually(w.t, func() bool {
		for _, status := range []string{"Completed", "ContinuedAsNew", "Failed"} {
			listed, err := c.ListWorkflow(w.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
				Query: fmt.Sprintf("WorkflowType = %q and ExecutionStatus = %q", workflow, status),
			})
			if err == nil && len(listed.GetExecutions()) > 0 {
				found := listed.GetExecutions()[0].GetExecution()
				id, run = found.GetWorkflowId(), found.GetRunId()
				return true
			}
		}
		return false
	}, time.Minute, 200*time.Millisecond, "a run of %s", workflow)
	return id, run
}

// replays replays the newest history of a workflow id.
func (w *world) replays(name, id string) {
	w.t.Helper()
	w.replaysRun(name, id, "")
}

// replaysRun replays the history of a run.
func (w *world) replaysRun(name, id, run string) {
	w.t.Helper()
	var h history.History
	events := w.temporal().GetWorkflowHistory(w.t.Context(), id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(w.t, err)
		h.Events = append(h.Events, event)
	}
	replayer, err := workers.NewReplayer()
	require.NoError(w.t, err)
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
	name, dir := word(host), strings.NewReplacer(w.dir, "/srv/mcp")
	plain := func(text string) string { return name.ReplaceAllString(dir.Replace(text), "host") }
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
				return base64.StdEncoding.EncodeToString([]byte(plain(string(data))))
			}
			return plain(v)
		}
		return value
	}
	var tree any
	require.NoError(w.t, json.Unmarshal(text, &tree))
	out, err := json.MarshalIndent(walk("", tree), "", " ")
	require.NoError(w.t, err)
	return append(out, '\n')
}
