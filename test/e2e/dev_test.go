package e2e

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

// TestTheConfigurationThatDevWrites deploys with the mcp.toml of the platform, through its
// gateway: its builder builds, its node runs, and streams carry bytes as they are.
func TestTheConfigurationThatDevWrites(t *testing.T) {
	t.Parallel()
	info := shared.platform.Info()
	w := newWorld(t)
	text, err := os.ReadFile(info.Config)
	require.NoError(t, err)
	require.NotContains(t, string(text), info.Temporal())
	require.NoError(t, os.WriteFile(w.config(), text, 0o600))
	w.services, w.workspace = info.Services, info.Workspace
	require.NoError(t, os.Mkdir(filepath.Join(w.workspace, "src"), 0o755))
	w.source("v1", "")
	w.define("gatehouse", w.service("gatehouse", "v1", `env = { TOKEN = "canary-of-the-platform" }`))
	w.deploy("gatehouse")
	rests := w.rests(workflows.DeployID("gatehouse"), "")
	require.NotContains(t, rests, "canary-of-the-platform", "the gateway encrypts for the control worker, too")
	require.Contains(t, rests, codec.Encoding)
	require.Contains(t, w.fetch(w.routePort("gatehouse")), "v1")

	content := make([]byte, 5<<20+3)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(content)
	through := w.command("exec", "-i", "gatehouse/app", "--", "/app", "through")
	var out, said bytes.Buffer
	through.Stdin, through.Stdout, through.Stderr = bytes.NewReader(content), &out, &said
	_ = through.Run() // its exit code says it
	require.Equal(t, 7, through.ProcessState.ExitCode(), said.String())
	require.True(t, bytes.Equal(content, out.Bytes()), "%d bytes of %d", out.Len(), len(content))

	const canary = "canary-of-the-follower"
	follow := w.process("logs", "-f", "gatehouse")
	follow.awaitLine("listening on")
	w.say(w.routePort("gatehouse"), canary)
	follow.awaitLine(canary)
	follow.signal(syscall.SIGINT)
	follow.code(time.Minute)
	require.Empty(t, w.logReadsWith(canary), "what a follower sees is not in Temporal")

	r := w.mcp("audit", "--service", "gatehouse", "--json")
	require.Zero(t, r.code, r)
	var audit []struct {
		Who, Verb string
		Claimed   bool
	}
	r.decode(t, &audit)
	require.NotEmpty(t, audit)
	for _, action := range audit {
		require.Equal(t, "operator/local", action.Who, r)
		require.False(t, action.Claimed, r)
	}
}

// logReadsWith are the reads of logs in Temporal whose histories have a word.
func (w *world) logReadsWith(word string) (found []string) {
	w.t.Helper()
	c := w.temporal()
	var ids []string
	require.Eventually(w.t, func() bool {
		listed, err := c.ListWorkflow(w.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowType = '" + reads.LogsName + "'"})
		ids = nil
		for _, of := range listed.GetExecutions() {
			ids = append(ids, of.GetExecution().GetWorkflowId())
		}
		return err == nil && len(ids) > 0
	}, time.Minute, 100*time.Millisecond)
	for _, id := range ids {
		events := c.GetWorkflowHistory(w.t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			require.NoError(w.t, err)
			if strings.Contains(event.String(), word) {
				found = append(found, id+": "+event.GetEventType().String())
			}
		}
	}
	return found
}
