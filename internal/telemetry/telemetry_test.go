package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.uber.org/goleak"

	"github.com/metacircular/mcp/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// get asks a handler.
func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return answer
}

// readiness asks whether a process is ready; its status must agree.
func readiness(t *testing.T, h http.Handler) telemetry.Readiness {
	t.Helper()
	answer := get(t, h, "/readyz")
	var said telemetry.Readiness
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &said), answer.Body)
	require.Equal(t, said.Ready, answer.Code == http.StatusOK)
	if !said.Ready {
		require.Equal(t, http.StatusServiceUnavailable, answer.Code)
	}
	return said
}

func TestReadiness(t *testing.T) {
	well := func(context.Context) error { return nil }

	t.Run("waits for the start, and ends with the stop, whatever the checks say", func(t *testing.T) {
		told := telemetry.New("v1")
		told.Check("postgres", well)
		require.Equal(t, "it has not started yet", readiness(t, told.Handler()).Reason)
		told.Ready()
		require.True(t, readiness(t, told.Handler()).Ready)
		told.Unready("it is stopping")
		said := readiness(t, told.Handler())
		require.Equal(t, "it is stopping", said.Reason)
		require.True(t, said.Checks[0].OK)
		require.Equal(t, http.StatusOK, get(t, told.Handler(), "/healthz").Code, "it lives")
	})

	t.Run("names each check that fails, and its reason", func(t *testing.T) {
		told := telemetry.New("v1")
		told.Ready()
		told.Check("podman", func(context.Context) error { return errors.New("connection refused") })
		told.Check("a", well)
		said := readiness(t, told.Handler())
		require.False(t, said.Ready)
		require.Equal(t, []telemetry.CheckResult{{Name: "a", OK: true}, {Name: "podman", Reason: "connection refused"}}, said.Checks)
		told.Check("podman", well)
		require.True(t, readiness(t, told.Handler()).Ready, "a later check of that name holds")
	})

	t.Run("asks all at once, and waits for none that hangs", func(t *testing.T) {
		told := telemetry.New("v1")
		told.Ready()
		release := make(chan struct{})
		defer close(release)
		told.Check("deaf", func(context.Context) error { <-release; return nil })
		for _, name := range []string{"slow 1", "slow 2"} {
			told.Check(name, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		}
		began := time.Now()
		said := readiness(t, told.Handler())
		require.Less(t, time.Since(began), 4*time.Second, "three time-outs of two seconds, side by side")
		for _, check := range said.Checks {
			require.Equal(t, "no answer within 2s", check.Reason, check.Name)
		}
	})
}

// instrumented is what a client of Temporal is given to measure with.
func instrumented(told *telemetry.Telemetry) client.MetricsHandler {
	var o client.Options
	told.Instrument(&o)
	return o.MetricsHandler
}

func TestMetrics(t *testing.T) {
	t.Run("the SDK's have its labels, whichever those are", func(t *testing.T) {
		told := telemetry.New("v1")
		sdk := instrumented(told)
		sdk.Counter("temporal_request").Inc(1)
		tagged := sdk.WithTags(map[string]string{"operation": "Poll", "namespace": "default"})
		tagged.WithTags(map[string]string{"operation": "Start"}).Counter("temporal_request").Inc(2)
		tagged.Counter("temporal_request").Inc(1)
		tagged.Counter("temporal_request").Inc(1)
		tagged.Gauge("temporal_num_pollers").Update(3)
		tagged.Timer("temporal_request_latency").Record(2 * time.Second)
		said := get(t, told.Handler(), "/metrics").Body.String()
		for _, line := range []string{
			`temporal_request_total 1`,
			`temporal_request_total{namespace="default",operation="Start"} 2`,
			`temporal_request_total{namespace="default",operation="Poll"} 2`,
			`temporal_num_pollers{namespace="default",operation="Poll"} 3`,
			`temporal_request_latency_seconds_sum{namespace="default",operation="Poll"} 2`,
			`temporal_request_latency_seconds_bucket{namespace="default",operation="Poll",le="1"} 0`,
			`temporal_request_latency_seconds_bucket{namespace="default",operation="Poll",le="2.5"} 1`,
			`mcp_build_info{version="v1"} 1`,
		} {
			require.Contains(t, said, line+"\n")
		}
	})

	t.Run("a declared counter begins at zero, and takes no label but its own", func(t *testing.T) {
		told := telemetry.New("v1")
		declared := telemetry.Metric{Name: "mcp_cups_total", Help: "Cups.", Labels: []telemetry.Label{
			{Name: "of", Values: []string{"tea", "coffee"}}, {Name: "full", Values: []string{"yes", "no"}},
		}}
		told.DeclareCounter(declared)
		cups := instrumented(told).WithTags(map[string]string{"of": "tea", "full": "no", "workflow_id": "deploy/shop"})
		cups.Counter("mcp_cups").Inc(1)
		told.DeclareCounter(declared)
		said := get(t, told.Handler(), "/metrics").Body.String()
		require.Contains(t, said, `mcp_cups_total{full="no",of="tea"} 1`)
		require.Contains(t, said, `mcp_cups_total{full="yes",of="coffee"} 0`)
		require.NotContains(t, said, "shop")
	})

	t.Run("are named as Prometheus wants it", func(t *testing.T) {
		told := telemetry.New("v1")
		sdk := instrumented(told).WithTags(map[string]string{"operation": "Poll"})
		sdk.Counter("temporal_request").Inc(1)
		sdk.Timer("temporal_request_latency").Record(time.Second)
		problems, err := promlint.New(get(t, told.Handler(), "/metrics").Body).Lint()
		require.NoError(t, err)
		require.Empty(t, problems)
	})
}

// fetch asks over the network, and keeps no connection.
func fetch(t *testing.T, address, path string) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	require.NoError(t, err)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(text), nil
}

func TestListener(t *testing.T) {
	t.Run("serves until it is closed", func(t *testing.T) {
		l := telemetry.Listen("127.0.0.1:0", telemetry.New("v1").Handler(), quiet)
		address := l.Address()
		said, err := fetch(t, address, "/healthz")
		require.NoError(t, err)
		require.Equal(t, "ok\n", said)
		l.Close()
		l.Close()
		_, err = fetch(t, address, "/healthz")
		require.Error(t, err)
	})

	t.Run("gets the address once another has given it up", func(t *testing.T) {
		first := telemetry.Listen("127.0.0.1:0", telemetry.New("first").Handler(), quiet)
		address := first.Address()
		second := telemetry.Listen(address, telemetry.New("second").Handler(), quiet)
		defer second.Close()
		require.Empty(t, second.Address())
		first.Close()
		require.Eventually(t, func() bool { return second.Address() == address }, 20*time.Second, 50*time.Millisecond)
		said, err := fetch(t, address, "/metrics")
		require.NoError(t, err)
		require.Contains(t, said, `version="second"`)
	})

	t.Run("ends while it still waits for the address", func(t *testing.T) {
		holder, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer holder.Close()
		telemetry.Listen(holder.Addr().String(), http.NotFoundHandler(), quiet).Close()
	})

	for _, off := range []string{"", "off"} {
		t.Run("does nothing at the address "+off, func(t *testing.T) {
			l := telemetry.Listen(off, http.NotFoundHandler(), quiet)
			require.Empty(t, l.Address())
			l.Close()
		})
	}
}

func TestWhatIsReadAtEachScrape(t *testing.T) {
	told := telemetry.New("v1")
	told.Declare(telemetry.Metric{Name: "mcp_node_drift", Help: "How many.", Labels: []telemetry.Label{{Name: "node"}, {Name: "kind"}}})
	scrape := func() string { return get(t, told.Handler(), "/metrics").Body.String() }
	rift := telemetry.Gauge{Name: "mcp_node_drift", Labels: map[string]string{"node": "rift", "kind": "disk"}, Value: 2}
	told.Read(func(context.Context) ([]telemetry.Gauge, error) { return []telemetry.Gauge{rift}, nil })
	require.Contains(t, scrape(), `mcp_node_drift{kind="disk",node="rift"} 2`)

	told.Read(func(context.Context) ([]telemetry.Gauge, error) { return nil, nil })
	require.NotContains(t, scrape(), "mcp_node_drift", "a node that is gone is not told of")

	told.Read(func(ctx context.Context) ([]telemetry.Gauge, error) {
		<-ctx.Done()
		return []telemetry.Gauge{rift}, ctx.Err()
	})
	text := scrape()
	require.NotContains(t, text, "mcp_node_drift")
	require.Contains(t, text, "mcp_build_info", "all else is told")
}
