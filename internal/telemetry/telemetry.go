// Package telemetry is what a process tells of itself over HTTP: metrics for
// Prometheus at /metrics, that it lives at /healthz, and whether it does its
// work at /readyz.
package telemetry

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
)

// Telemetry is what one process tells of itself. It is safe for use by many
// goroutines.
type Telemetry struct {
	registry *prometheus.Registry
	metrics  *metrics
	polls    *polls
	checks   checks
}

// New returns the telemetry of a process of this version, which is not ready
// yet.
func New(version string) *Telemetry {
	t := &Telemetry{registry: prometheus.NewRegistry(), metrics: newMetrics(), polls: newPolls()}
	t.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		t.metrics,
	)
	t.Declare(Metric{Name: "mcp_build_info", Help: "Which mcp this is; the value is always 1.", Labels: []Label{{Name: "version"}}})
	t.metrics.gauges.with("mcp_build_info", map[string]string{"version": version}).Set(1)
	t.Declare(Metric{Name: stepSeconds, Help: "How long one attempt of an activity took, in seconds.", Labels: []Label{{Name: "activity"}, {Name: "outcome"}}})
	t.Unready("it has not started yet")
	return t
}

// Instrument makes a connection to Temporal measure itself, and lets Polling
// see its polls.
func (t *Telemetry) Instrument(o *client.Options) {
	o.MetricsHandler = handler{metrics: t.metrics}
	o.ConnectionOptions.DialOptions = append(slices.Clone(o.ConnectionOptions.DialOptions), grpc.WithChainUnaryInterceptor(t.polls.intercept))
}

// Handler serves /metrics, /healthz and /readyz.
func (t *Telemetry) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", t.checks.serve)
	return mux
}
