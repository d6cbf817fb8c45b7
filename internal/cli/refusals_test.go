package cli_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/test/printed"
)

func TestACommandLineThatIsNotUnderstoodExitsTwo(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, line := range map[string][]string{
		"an unknown verb":       {"bogus"},
		"an unknown flag":       {"status", "--bogus"},
		"a bad value":           {"build", "shop", "--deadline", "soon"},
		"too many arguments":    {"version", "now"},
		"an unknown sub-verb":   {"service", "bogus"},
		"an unknown flag alone": {"--bogus"},
	} {
		t.Run(name, func(t *testing.T) {
			plain := mcp(t.Context(), t, nil, line...)
			require.Equal(t, 2, plain.code, plain)
			require.Contains(t, plain.stderr, "error: ")
			require.Empty(t, plain.stdout)

			var said struct {
				Error struct{ Kind, Message string }
			}
			asked := mcp(t.Context(), t, nil, append(line, "--json")...)
			require.Equal(t, 2, asked.code)
			decode(t, asked.stdout, &said)
			require.Equal(t, "Invalid", said.Error.Kind)
			require.NotEmpty(t, said.Error.Message)
		})
	}
}

func TestAnAddressThatNobodyAnswersIsToldWithItsCauseAndOrigin(t *testing.T) {
	t.Chdir(t.TempDir())
	port, err := parts.FreePort()
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	got := mcp(t.Context(), t, map[string]string{"TEMPORAL_ADDRESS": address}, "status")
	require.Equal(t, 4, got.code)
	require.Contains(t, got.stderr, "Temporal at "+address+" does not answer: ")
	require.Contains(t, got.stderr, "connection refused")
	require.Contains(t, got.stderr, "$TEMPORAL_ADDRESS")
}

func TestWhatCannotBeWrittenIsAFailure(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	var stderr printed.Text
	app := &cli.App{Stdout: full, Stderr: &stderr, Getenv: func(string) string { return "" }}
	require.Equal(t, 1, app.Run(t.Context(), []string{"version"}))
	require.Contains(t, stderr.String(), "no space left")
}

func TestATemporalWithoutAControlWorker(t *testing.T) {
	program := filepath.Join(programs(t), "temporal")
	dir := t.TempDir()
	t.Chdir(dir)
	temporal, err := parts.StartTemporal(t.Context(), parts.TemporalOptions{Unsafe: true, Dir: t.TempDir(), Binary: program})
	require.NoError(t, err)
	t.Cleanup(temporal.Stop)
	write(t, filepath.Join(dir, "services", "shop.toml"), definition("shop", "api"))
	env := map[string]string{"TEMPORAL_ADDRESS": temporal.Address(), "MCP_SERVICES": filepath.Join(dir, "services")}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	t.Run("says on a deploy that it waits for one", func(t *testing.T) {
		ctx, detach := context.WithTimeout(ctx, 8*time.Second)
		defer detach()
		got := mcp(ctx, t, env, "deploy", "shop")
		require.Equal(t, 130, got.code, got)
		require.Contains(t, got.stderr, "no control worker polls the queue control; waiting for one (mcp worker --control)")
	})

	t.Run("refuses a deploy in a namespace that has never had one, with the way out", func(t *testing.T) {
		namespaces, err := client.NewNamespaceClient(client.Options{HostPort: temporal.Address()})
		require.NoError(t, err)
		defer namespaces.Close()
		env := maps.Clone(env)
		env["TEMPORAL_NAMESPACE"] = "bare"
		missing := mcp(ctx, t, env, "deploy", "shop")
		require.Equal(t, 4, missing.code, missing)
		require.Contains(t, missing.stderr, "Temporal has no namespace bare")

		require.NoError(t, namespaces.Register(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace: "bare", WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
		}))
		var got outcome
		require.Eventually(t, func() bool { // Temporal caches that it is not there
			got = mcp(ctx, t, env, "deploy", "shop")
			return !strings.Contains(got.stderr, "has no namespace")
		}, time.Minute, 500*time.Millisecond)
		require.Equal(t, 4, got.code, got)
		require.Contains(t, got.stderr, "no control worker has served namespace bare yet")
		require.Contains(t, got.stderr, "mcp worker --control")
	})

	t.Run("whose last one has gone a moment ago is not waited for", func(t *testing.T) {
		c, err := client.Dial(client.Options{HostPort: temporal.Address()})
		require.NoError(t, err)
		defer c.Close()
		gone := worker.New(c, "control", worker.Options{})
		require.NoError(t, gone.Start())
		time.Sleep(500 * time.Millisecond) // its first poll
		gone.Stop()

		started := time.Now()
		got := mcp(ctx, t, env, "status")
		require.Equal(t, 4, got.code, got)
		require.Contains(t, got.stderr, "no control worker polls the queue control")
		require.Less(t, time.Since(started), time.Minute)
	})
}

func TestAReadThatPostgresDoesNotAnswerIsExitFour(t *testing.T) {
	plane := newControlPlane(t)
	plane.postgres.Stop()
	started := time.Now()
	got := mcp(t.Context(), t, plane.env, "status")
	require.Equal(t, 4, got.code, got)
	require.Contains(t, got.stderr, "list services: attempt ", "it says meanwhile what it waits for")
	require.Contains(t, got.stderr, "error: ")
	require.NotContains(t, got.stderr, "ToClose timeout")
	require.Less(t, time.Since(started), 20*time.Second)
}
