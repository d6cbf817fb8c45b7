package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/activities"
)

// An edge with an identity needs neither Temporal's address nor the encryption keys. Its
// access log comes by a stream: no workflow asks it, and none has its lines.
func TestAnEdgeBehindTheGateway(t *testing.T) {
	e := newSite(t, "gated", "")
	e.way = ""
	e.configure(e.http, `directory = "off"`)
	token := strings.Fields(mcp(t, "identity", "create", "edge", e.name))[0] // the rest is for people
	mcp(t, "--config", e.config, "join", token, "--no-unit", "--dir", filepath.Join(t.TempDir(), "identity"))
	text, err := os.ReadFile(e.config)
	require.NoError(t, err)
	require.Contains(t, string(text), "[door]")
	require.NotContains(t, string(text), "[temporal]")

	p := e.start()
	await(t, func() bool { return strings.Contains(p.said(), "not admitted yet") }, p.said)
	mcp(t, "edge", "admit", e.name, "--fingerprint", fingerprint(t, p.said()))
	t.Cleanup(func() { mcp(t, "edge", "remove", e.name, "-y") })
	deploy(t, "gated", "first")
	e.serves("gated.localhost", "first")
	deploy(t, "gated", "second")
	got, err := e.get("gated.localhost")
	require.NoError(t, err)
	require.Equal(t, "second", got)

	_, err = e.get("gated.localhost/the-canary")
	require.NoError(t, err)
	await(t, func() bool { return strings.Contains(mcp(t, "logs", "--edge", "gated"), "/the-canary") }, func() string { return "no line" })

	c, err := client.Dial(client.Options{HostPort: shared.temporal})
	require.NoError(t, err)
	defer c.Close()
	found := 0
	await(t, func() bool { // the list of workflows is written behind them
		list, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowType = 'AccessLog' AND ExecutionStatus = 'Completed'"})
		require.NoError(t, err)
		found = 0
		for _, one := range list.GetExecutions() {
			events := c.GetWorkflowHistory(t.Context(), one.GetExecution().GetWorkflowId(), one.GetExecution().GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			for events.HasNext() {
				event, err := events.Next()
				require.NoError(t, err)
				require.NotEqual(t, activities.QueueEdge(e.name), event.GetActivityTaskScheduledEventAttributes().GetTaskQueue().GetName())
			}
			found++
		}
		return found > 0
	}, func() string { return "no workflow has found the edges" })

	mcp(t, "identity", "revoke", "edge", e.name, "-y")
	await(t, func() bool { return strings.Contains(p.said(), "is revoked") }, p.said)
	got, err = e.get("gated.localhost")
	require.NoError(t, err, "it goes on with what it has")
	require.Equal(t, "second", got)
}
