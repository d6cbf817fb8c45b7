package threat

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/telemetry"
	"github.com/metacircular/mcp/test/printed"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// reportTime is how long a loss may go unreported.
const reportTime = 2 * time.Minute

// losing is a control plane that observes a node, and that loses what it stands on.
type losing struct {
	t           *testing.T
	temporalDir string
	temporal    *parts.Temporal
	postgres    *parts.Postgres
	client      client.Client
	config      string
	listen      string
}

func newLosing(t *testing.T) *losing {
	t.Helper()
	p := &losing{t: t, temporalDir: t.TempDir()}
	p.startTemporal()
	t.Cleanup(func() { p.temporal.Stop() })
	data, err := os.MkdirTemp("", "mcp-threat-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(data)) })
	require.NoError(t, os.Chmod(data, 0o755)) // Postgres runs as another user
	p.postgres, err = parts.StartPostgres(t.Context(), parts.PostgresOptions{Dir: data, Unsafe: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.postgres.Destroy()) })
	port, err := parts.FreePort()
	require.NoError(t, err)
	p.listen = fmt.Sprintf("127.0.0.1:%d", port)
	p.config = filepath.Join(t.TempDir(), "mcp.toml")
	require.NoError(t, os.WriteFile(p.config, fmt.Appendf(nil, "[temporal]\naddress = %q\n[monitor]\ninterval = \"2s\"\n", p.temporal.Address()), 0o600))
	p.client, err = client.Dial(client.Options{HostPort: p.temporal.Address(), Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(p.client.Close)

	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	worked := make(chan string, 1)
	go func() {
		_, text := p.mcp(ctx, "worker", "--control", "--listen", p.listen)
		worked <- text
	}()
	t.Cleanup(func() {
		stop()
		if text := <-worked; t.Failed() {
			t.Log(text)
		}
	})
	p.awaitReady()
	run, err := p.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: workflows.Queue}, tend.RegisterNodeName, fleet.NodeRecord{Name: "rift"})
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), nil))
	return p
}

func (p *losing) startTemporal() {
	p.t.Helper()
	program, err := filepath.Abs("../../bin/temporal")
	require.NoError(p.t, err)
	p.temporal, err = parts.StartTemporal(p.t.Context(), parts.TemporalOptions{Unsafe: true, Dir: p.temporalDir, Binary: program})
	require.NoError(p.t, err)
}

// mcp runs a command, and returns its exit code and all that it has printed.
func (p *losing) mcp(ctx context.Context, args ...string) (int, string) {
	var said printed.Text
	app := &cli.App{Stdout: &said, Stderr: &said, Getenv: func(name string) string {
		if name == "MCP_POSTGRES_URL" {
			return p.postgres.URL()
		}
		return ""
	}}
	code := app.Run(ctx, append([]string{"--config", p.config}, args...))
	return code, said.String()
}

// sql runs a statement in Postgres.
func (p *losing) sql(statement string) {
	p.t.Helper()
	out, err := exec.Command("psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", statement, p.postgres.URL()).CombinedOutput()
	require.NoError(p.t, err, string(out))
}

// get returns the answer of the control worker's listener; "" where there is none.
func (p *losing) get(path string) string {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.listen+path, nil)
	require.NoError(p.t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// unready returns the reason of a check of /readyz; "" where the check passes.
func (p *losing) unready(check string) string {
	var ready telemetry.Readiness
	if json.Unmarshal([]byte(p.get("/readyz")), &ready) != nil || ready.Ready {
		return ""
	}
	for _, c := range ready.Checks {
		if c.Name == check {
			return c.Reason
		}
	}
	return ""
}

func (p *losing) awaitReady() {
	p.t.Helper()
	p.await(2*reportTime, "the control worker is ready", func() bool {
		var ready telemetry.Readiness
		return json.Unmarshal([]byte(p.get("/readyz")), &ready) == nil && ready.Ready
	})
}

// diagnosed returns what doctor says of a check, where that fails; "" where it does not.
func (p *losing) diagnosed(check string) string {
	_, text := p.mcp(p.t.Context(), "doctor", "--json")
	var found []struct{ Check, Status, Detail string }
	if json.Unmarshal([]byte(text), &found) != nil {
		return ""
	}
	for _, f := range found {
		if f.Check == check && f.Status == "fail" {
			return f.Detail
		}
	}
	return ""
}

// await waits until something is so, and returns how long that took.
func (p *losing) await(limit time.Duration, what string, is func() bool) time.Duration {
	p.t.Helper()
	began := time.Now()
	require.Eventually(p.t, is, limit, 200*time.Millisecond, what)
	return time.Since(began)
}

// reports waits until /readyz and doctor report a loss that has just happened, and
// prints how long that took. MadeUp reports whether the loss has been made up for, so
// that there is nothing to report any more.
func (p *losing) reports(loss, check, reason, finding, detail string, madeUp func() bool) {
	p.t.Helper()
	began := time.Now()
	reported := make(chan time.Duration, 1)
	go func() {
		for p.t.Context().Err() == nil && time.Since(began) < reportTime {
			if strings.Contains(p.diagnosed(finding), detail) || madeUp() {
				reported <- time.Since(began)
				return
			}
		}
		reported <- 0
	}()
	ready := p.await(reportTime, "/readyz reports "+loss, func() bool { return strings.Contains(p.unready(check), reason) || madeUp() })
	doctor := <-reported
	require.NotZero(p.t, doctor, "doctor reports %s", loss)
	p.t.Logf("%s: /readyz reports it after %s, doctor after %s", loss, ready.Round(10*time.Millisecond), doctor.Round(10*time.Millisecond))
}

// TestLateObservationsAreReported pauses the observation of the nodes, and then takes
// the tables away.
func TestLateObservationsAreReported(t *testing.T) {
	t.Parallel()
	p := newLosing(t)
	monitor := p.client.ScheduleClient().GetHandle(t.Context(), tend.MonitorID)
	require.NoError(t, monitor.Pause(t.Context(), client.SchedulePauseOptions{}))
	p.reports("observations that have ended", "monitor", "the monitor has not observed node rift", "monitor rift", "the monitor has not observed it since", never)
	code, list := p.mcp(t.Context(), "node", "list")
	require.Zero(t, code, list)
	require.Contains(t, list, "(not observed since ")
	require.Regexp(t, `mcp_monitor_last_observation_seconds{node="rift"} [1-9][0-9]`, p.get("/metrics"))
	require.NoError(t, monitor.Unpause(t.Context(), client.ScheduleUnpauseOptions{}))
	p.awaitReady()
	_, list = p.mcp(t.Context(), "node", "list")
	require.NotContains(t, list, "not observed")

	p.sql("drop table node_status cascade")
	p.reports("a table that is gone", "tables", "lacks tables of mcp's: node_status", "postgres", "lacks tables of mcp's: node_status", never)
	p.sql("drop table if exists " + strings.Join(registry.Tables, ", ") + " cascade")
	p.reports("all tables gone", "tables", "has no table of mcp's", "postgres", "has no table of mcp's", never)
}

// never is of a loss that is not made up for.
func never() bool { return false }

// TestALostDatabaseOfTemporalIsReportedAndRepaired takes Temporal's database away while
// it is down.
func TestALostDatabaseOfTemporalIsReportedAndRepaired(t *testing.T) {
	t.Parallel()
	p := newLosing(t)
	p.temporal.Stop()
	files, err := filepath.Glob(filepath.Join(p.temporalDir, "temporal.db*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		require.NoError(t, os.Remove(file))
	}
	p.startTemporal()
	there := func() bool {
		_, err := p.client.ScheduleClient().GetHandle(t.Context(), tend.RetentionID).Describe(t.Context())
		return err == nil
	}
	p.reports("Temporal's lost database", "schedules", "Temporal has no schedule monitor", "schedules", "Temporal has no schedule monitor, retention", there)
	again := p.await(reportTime, "the schedules are made again", there)
	t.Logf("the schedules are made again %s later", again.Round(time.Second))
	p.awaitReady()
	p.await(reportTime, "the node is observed again", func() bool {
		found := 0
		for _, line := range strings.Split(p.get("/metrics"), "\n") {
			var age float64
			if n, _ := fmt.Sscanf(line, `mcp_monitor_last_observation_seconds{node="rift"} %g`, &age); n == 1 && age < 20 {
				found++
			}
		}
		return found == 1
	})
}
