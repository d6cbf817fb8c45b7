package parts_test

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/dev/parts"
)

func startTemporal(t *testing.T, dir, namespace string) *parts.Temporal {
	t.Helper()
	server, err := parts.StartTemporal(t.Context(), parts.TemporalOptions{Dir: dir, Binary: program(t, "temporal"), Namespace: namespace})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	return server
}

func dialTemporal(t *testing.T, server *parts.Temporal, namespace string) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{
		HostPort:  server.Address(),
		Namespace: namespace,
		Logger:    log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestTemporal(t *testing.T) {
	t.Run("a second start in the same directory has the same address and histories", func(t *testing.T) {
		dir := t.TempDir()
		first := startTemporal(t, dir, "")
		run, err := dialTemporal(t, first, "default").ExecuteWorkflow(t.Context(),
			client.StartWorkflowOptions{ID: "deploy/shop", TaskQueue: "control"}, "Deploy")
		require.NoError(t, err)
		first.Stop()

		second := startTemporal(t, dir, "")
		require.Equal(t, first.Address(), second.Address())
		require.Equal(t, first.UIURL(), second.UIURL())
		history := dialTemporal(t, second, "default").GetWorkflowHistory(t.Context(), "deploy/shop", run.GetRunID(), false, 0)
		require.True(t, history.HasNext())
		event, err := history.Next()
		require.NoError(t, err)
		require.Equal(t, "Deploy", event.GetWorkflowExecutionStartedEventAttributes().GetWorkflowType().GetName())
	})

	t.Run("it listens on given ports, and on those again where none are given", func(t *testing.T) {
		dir := t.TempDir()
		port, err := parts.FreePort()
		require.NoError(t, err)
		uiPort, err := parts.FreePort()
		require.NoError(t, err)
		first, err := parts.StartTemporal(t.Context(), parts.TemporalOptions{Dir: dir, Binary: program(t, "temporal"), Port: port, UIPort: uiPort})
		require.NoError(t, err)
		first.Stop()
		second := startTemporal(t, dir, "")
		require.Equal(t, port, portOf(t, second.Address()))
		require.Equal(t, first.UIURL(), second.UIURL())
	})

	t.Run("a server that panics at its start is started again", func(t *testing.T) {
		dir := t.TempDir()
		// It panics as often as the file "panics" has lines.
		binary := filepath.Join(dir, "temporal")
		script := "#!/bin/sh\nif [ -s " + dir + "/panics ]; then sed -i 1d " + dir + "/panics; echo 'panic: the port is taken' >&2; seq 20 >&2; exit 2; fi\nexec " + program(t, "temporal") + " \"$@\"\n"
		require.NoError(t, os.WriteFile(binary, []byte(script), 0o700))
		options := parts.TemporalOptions{Dir: filepath.Join(dir, "data"), Binary: binary}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "panics"), []byte("1\n2\n3\n"), 0o600))
		_, err := parts.StartTemporal(t.Context(), options)
		require.ErrorContains(t, err, "temporal ended before it was ready (exit status 2")
		require.ErrorContains(t, err, ":\npanic: the port is taken\n1\n")

		require.NoError(t, os.WriteFile(filepath.Join(dir, "panics"), []byte("1\n2\n"), 0o600))
		server, err := parts.StartTemporal(t.Context(), options)
		require.NoError(t, err)
		server.Stop()
	})

	t.Run("two servers run at once, each with its UI", func(t *testing.T) {
		here, there := startTemporal(t, t.TempDir(), ""), startTemporal(t, t.TempDir(), "")
		require.NotEqual(t, here.Address(), there.Address())
		for _, server := range []*parts.Temporal{here, there} {
			response, err := http.Get(server.UIURL())
			require.NoError(t, err)
			page, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.Contains(t, string(page), "<html")
		}
	})

	t.Run("a custom namespace has the search attributes and keeps histories for 30 days", func(t *testing.T) {
		c := dialTemporal(t, startTemporal(t, t.TempDir(), "fleet"), "fleet")
		found, err := c.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: "fleet"})
		require.NoError(t, err)
		require.Equal(t, "Keyword", found.GetCustomAttributes()["McpService"].String())
		require.Equal(t, "KeywordList", found.GetCustomAttributes()["McpNode"].String())
		require.Equal(t, "Keyword", found.GetCustomAttributes()["McpOutcome"].String())
		described, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: "fleet"})
		require.NoError(t, err)
		require.Equal(t, 30*24*time.Hour, described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())
	})

	t.Run("a given port that another server holds is an error, not a false readiness", func(t *testing.T) {
		other := startTemporal(t, t.TempDir(), "")
		_, err := parts.StartTemporal(t.Context(), parts.TemporalOptions{
			Dir: t.TempDir(), Binary: program(t, "temporal"), Port: portOf(t, other.Address()),
		})
		require.ErrorContains(t, err, "address already in use")
	})
}
