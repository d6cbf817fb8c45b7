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
	"sync"
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

// get sends a GET to a handler.
func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return answer
}

// readiness returns the answer of /readyz, and requires its status to agree.
func readiness(t *testing.T, h http.Handler) telemetry.Readiness {
	t.Helper()
	answer := get(t, h, "/readyz")
	var got telemetry.Readiness
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &got), answer.Body)
	require.Equal(t, got.Ready, answer.Code == http.StatusOK)
	if !got.Ready {
		require.Equal(t, http.StatusServiceUnavailable, answer.Code)
	}
	return got
}

func TestReadiness(t *testing.T) {
	well := func(context.Context) error { return nil }

	t.Run("begins with the start and ends with the stop, whatever the checks return", func(t *testing.T) {
		tel := telemetry.New("v1")
		tel.Check("postgres", well)
		require.Equal(t, "it has not started yet", readiness(t, tel.Handler()).Reason)
		tel.Ready()
		require.True(t, readiness(t, tel.Handler()).Ready)
		tel.Unready("it is stopping")
		got := readiness(t, tel.Handler())
		require.Equal(t, "it is stopping", got.Reason)
		require.True(t, got.Checks[0].OK)
		require.Equal(t, http.StatusOK, get(t, tel.Handler(), "/healthz").Code, "it is alive")
	})

	t.Run("lists each check that fails, with its reason", func(t *testing.T) {
		tel := telemetry.New("v1")
		tel.Ready()
		tel.Check("podman", func(context.Context) error { return errors.New("connection refused") })
		tel.Check("a", well)
		got := readiness(t, tel.Handler())
		require.False(t, got.Ready)
		require.Equal(t, []telemetry.CheckResult{{Name: "a", OK: true}, {Name: "podman", Reason: "connection refused"}}, got.Checks)
		tel.Check("podman", well)
		require.True(t, readiness(t, tel.Handler()).Ready, "a later check of that name replaces it")
	})

	t.Run("runs all checks concurrently, and waits for none that hangs", func(t *testing.T) {
		tel := telemetry.New("v1")
		tel.Ready()
		release := make(chan struct{})
		defer close(release)
		var mu sync.Mutex
		running, most := 0, 0
		run := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			running += n
			most = max(most, running)
		}
		tel.Check("hanging", func(context.Context) error { run(1); <-release; return nil })
		for _, name := range []string{"slow 1", "slow 2"} {
			tel.Check(name, func(ctx context.Context) error {
				run(1)
				defer run(-1)
				<-ctx.Done()
				return ctx.Err()
			})
		}
		got := readiness(t, tel.Handler())
		mu.Lock()
		require.Equal(t, 3, most)
		mu.Unlock()
		for _, check := range got.Checks {
			require.Equal(t, "no answer within 2s", check.Reason, check.Name)
		}
	})
}

// instrumented returns the metrics handler of a client of Temporal.
func instrumented(tel *telemetry.Telemetry) client.MetricsHandler {
	var o client.Options
	tel.Instrument(&o)
	return o.MetricsHandler
}

func TestMetrics(t *testing.T) {
	t.Run("of the SDK have the labels that it sets", func(t *testing.T) {
		tel := telemetry.New("v1")
		sdk := instrumented(tel)
		sdk.Counter("temporal_request").Inc(1)
		tagged := sdk.WithTags(map[string]string{"operation": "Poll", "namespace": "default"})
		tagged.WithTags(map[string]string{"operation": "Start"}).Counter("temporal_request").Inc(2)
		tagged.Counter("temporal_request").Inc(1)
		tagged.Counter("temporal_request").Inc(1)
		tagged.Gauge("temporal_num_pollers").Update(3)
		tagged.Timer("temporal_request_latency").Record(2 * time.Second)
		got := get(t, tel.Handler(), "/metrics").Body.String()
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
			require.Contains(t, got, line+"\n")
		}
	})

	t.Run("that are declared counters begin at zero, with no other labels", func(t *testing.T) {
		tel := telemetry.New("v1")
		declared := telemetry.Metric{Name: "mcp_cups_total", Help: "Cups.", Labels: []telemetry.Label{
			{Name: "of", Values: []string{"tea", "coffee"}}, {Name: "full", Values: []string{"yes", "no"}},
		}}
		tel.DeclareCounter(declared)
		cups := instrumented(tel).WithTags(map[string]string{"of": "tea", "full": "no", "workflow_id": "deploy/shop"})
		cups.Counter("mcp_cups").Inc(1)
		tel.DeclareCounter(declared)
		got := get(t, tel.Handler(), "/metrics").Body.String()
		require.Contains(t, got, `mcp_cups_total{full="no",of="tea"} 1`)
		require.Contains(t, got, `mcp_cups_total{full="yes",of="coffee"} 0`)
		require.NotContains(t, got, "shop")
	})

	t.Run("have names that follow Prometheus's conventions", func(t *testing.T) {
		tel := telemetry.New("v1")
		sdk := instrumented(tel).WithTags(map[string]string{"operation": "Poll"})
		sdk.Counter("temporal_request").Inc(1)
		sdk.Timer("temporal_request_latency").Record(time.Second)
		problems, err := promlint.New(get(t, tel.Handler(), "/metrics").Body).Lint()
		require.NoError(t, err)
		require.Empty(t, problems)
	})
}

// fetch sends a GET over the network, and closes the connection.
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
		got, err := fetch(t, address, "/healthz")
		require.NoError(t, err)
		require.Equal(t, "ok\n", got)
		l.Close()
		l.Close()
		_, err = fetch(t, address, "/healthz")
		require.Error(t, err)
	})

	t.Run("takes over the address when another listener closes", func(t *testing.T) {
		first := telemetry.Listen("127.0.0.1:0", telemetry.New("first").Handler(), quiet)
		address := first.Address()
		second := telemetry.Listen(address, telemetry.New("second").Handler(), quiet)
		defer second.Close()
		require.Empty(t, second.Address())
		first.Close()
		require.Eventually(t, func() bool { return second.Address() == address }, time.Minute, 50*time.Millisecond)
		got, err := fetch(t, address, "/metrics")
		require.NoError(t, err)
		require.Contains(t, got, `version="second"`)
	})

	t.Run("closes while it waits for the address", func(t *testing.T) {
		holder, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer holder.Close()
		telemetry.Listen(holder.Addr().String(), http.NotFoundHandler(), quiet).Close()
	})

	for _, off := range []string{"", "off"} {
		t.Run("does not listen on the address "+off, func(t *testing.T) {
			l := telemetry.Listen(off, http.NotFoundHandler(), quiet)
			require.Empty(t, l.Address())
			l.Close()
		})
	}
}

func TestGaugesAreReadAtEachScrape(t *testing.T) {
	tel := telemetry.New("v1")
	tel.Declare(telemetry.Metric{Name: "mcp_node_drift", Help: "How many.", Labels: []telemetry.Label{{Name: "node"}, {Name: "kind"}}})
	scrape := func() string { return get(t, tel.Handler(), "/metrics").Body.String() }
	rift := telemetry.Gauge{Name: "mcp_node_drift", Labels: map[string]string{"node": "rift", "kind": "disk"}, Value: 2}
	tel.Read(func(context.Context) ([]telemetry.Gauge, error) { return []telemetry.Gauge{rift}, nil })
	require.Contains(t, scrape(), `mcp_node_drift{kind="disk",node="rift"} 2`)

	tel.Read(func(context.Context) ([]telemetry.Gauge, error) { return nil, nil })
	require.NotContains(t, scrape(), "mcp_node_drift", "a node that is gone has no series")

	tel.Read(func(ctx context.Context) ([]telemetry.Gauge, error) {
		<-ctx.Done()
		return []telemetry.Gauge{rift}, ctx.Err()
	})
	text := scrape()
	require.NotContains(t, text, "mcp_node_drift")
	require.Contains(t, text, "mcp_build_info", "other metrics are served")
}
