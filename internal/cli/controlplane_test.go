package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
)

// controlPlane is Temporal, Postgres and a control worker, without a node.
type controlPlane struct {
	env      map[string]string
	temporal *parts.Temporal
	postgres *parts.Postgres
}

func newControlPlane(t *testing.T) controlPlane {
	t.Helper()
	program := filepath.Join(programs(t), "temporal")
	t.Chdir(t.TempDir())
	temporal, err := parts.StartTemporal(t.Context(), parts.TemporalOptions{Unsafe: true, Dir: t.TempDir(), Binary: program})
	require.NoError(t, err)
	t.Cleanup(temporal.Stop)
	data := t.TempDir()
	require.NoError(t, os.Chmod(data, 0o755))
	postgres, err := parts.StartPostgres(t.Context(), parts.PostgresOptions{Unsafe: true, Dir: data})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Destroy()) })
	env := map[string]string{"TEMPORAL_ADDRESS": temporal.Address(), "MCP_POSTGRES_URL": postgres.URL()}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	worked := make(chan outcome, 1)
	go func() { worked <- mcp(ctx, t, env, "worker", "--control") }()
	t.Cleanup(func() { stop(); <-worked })
	require.Eventually(t, func() bool {
		return mcp(t.Context(), t, env, "status").code == 0
	}, time.Minute, 100*time.Millisecond)
	return controlPlane{env, temporal, postgres}
}
