package temporalserver_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/bench/temporalserver"
	"github.com/metacircular/mcp/internal/dev/parts"
)

// program returns the path of a program that is built from a pinned module.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "bin", name))
	require.NoError(t, err)
	require.FileExists(t, path, "make sizing builds it")
	return path
}

func startPostgres(t *testing.T) *parts.Postgres {
	t.Helper()
	p, err := parts.StartPostgres(t.Context(), parts.PostgresOptions{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Destroy()) })
	return p
}

// options returns those of a server with the configuration that mcp ships.
func options(t *testing.T, p *parts.Postgres) temporalserver.Options {
	t.Helper()
	return temporalserver.Options{
		Dir: t.TempDir(), Binary: program(t, "temporal-server"), SQLTool: program(t, "temporal-sql-tool"),
		PostgresURL: p.URL(), DynamicConfig: filepath.Join("..", "..", "deploy", "temporal", "dynamicconfig.yaml"),
	}
}

func start(t *testing.T, o temporalserver.Options) (*temporalserver.Server, client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := temporalserver.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	c, err := s.Dial(t.Context())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return s, c
}

func greet(ctx workflow.Context) (answer string, err error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	return answer, workflow.ExecuteActivity(ctx, hello).Get(ctx, &answer)
}

func hello(context.Context) (string, error) { return "hello", nil }

func TestASecondStartFindsTheWorkflowsOfTheFirst(t *testing.T) {
	o := options(t, startPostgres(t))
	first, c := start(t, o)
	w := worker.New(c, "control", worker.Options{})
	w.RegisterWorkflow(greet)
	w.RegisterActivity(hello)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "greet", TaskQueue: "control"}, greet)
	require.NoError(t, err)
	var answer string
	require.NoError(t, run.Get(t.Context(), &answer))
	require.Equal(t, "hello", answer)
	w.Stop()
	first.Stop()

	second, c := start(t, o)
	require.Equal(t, first.Address(), second.Address())
	var last enums.EventType
	for events := c.GetWorkflowHistory(t.Context(), "greet", run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		event, err := events.Next()
		require.NoError(t, err)
		last = event.GetEventType()
	}
	require.Equal(t, enums.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, last)
}

func psql(t *testing.T, p *parts.Postgres, statement string) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "psql", "--no-psqlrc", "-w", "-qAt", "-c", statement, p.URL()).CombinedOutput()
	require.NoError(t, err, string(output))
}
