package temporalserver_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/bench/temporalserver"
)

var size = flag.Bool("size", false, "measure too: make sizing")

// TestSizing measures what the observation of a node costs Temporal on Postgres,
// with the configuration that mcp ships.
func TestSizing(t *testing.T) {
	load := temporalserver.Load{Nodes: 2, Containers: 5, Interval: time.Second, For: 3 * time.Second}
	if *size {
		load = temporalserver.Load{Nodes: 10, Containers: 20, Interval: 3 * time.Second, For: 60 * time.Second}
	}
	p := startPostgres(t)
	s, _ := start(t, options(t, p))
	f, err := temporalserver.Measure(t.Context(), s, p, load)
	require.NoError(t, err)
	require.Positive(t, f.Server)
	require.Positive(t, f.Postgres)
	require.Positive(t, f.Rows)
	require.Greater(t, f.Events, int64(10))
	t.Logf("%d observations; each: server %v, Postgres %v of a core; %.0f rows, %.0f bytes kept, %.0f bytes of WAL; history %d events, %d bytes",
		f.Observations, f.Server, f.Postgres, f.Rows, f.Disk, f.WAL, f.Events, f.HistoryBytes)
	t.Logf("idle: server %.3f, Postgres %.3f cores; memory: server %d MiB, Postgres %d MiB",
		f.IdleServer, f.IdlePostgres, f.ServerMemory>>20, f.PostgresMemory>>20)
}

// TestLatency measures how long an observation takes with different settings.
func TestLatency(t *testing.T) {
	n := 3
	if *size {
		n = 100
	}
	for _, c := range []struct {
		name, dynamic string // "" means the configuration that mcp ships
		async         bool   // commits do not wait for the disk
	}{
		{name: "the server's defaults", dynamic: "{}"},
		{name: "more polls of its queues", dynamic: "history.transferProcessorMaxPollRPS: [{value: 500}]\n"},
		{name: "one partition", dynamic: "matching.numTaskqueueReadPartitions: [{value: 1}]\nmatching.numTaskqueueWritePartitions: [{value: 1}]\n"},
		{name: "as shipped"},
		{name: "as shipped, synchronous_commit off", async: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startPostgres(t)
			o := options(t, p)
			if c.dynamic != "" {
				o.DynamicConfig = filepath.Join(t.TempDir(), "dynamic.yaml")
				require.NoError(t, os.WriteFile(o.DynamicConfig, []byte(c.dynamic), 0o600))
			}
			if c.async {
				psql(t, p, "alter system set synchronous_commit = off")
				psql(t, p, "select pg_reload_conf()")
			}
			s, _ := start(t, o)
			median, p95, err := temporalserver.Latency(t.Context(), s, n)
			require.NoError(t, err)
			t.Logf("an observation takes %v, 95 of 100 below %v", median, p95)
		})
	}
}
