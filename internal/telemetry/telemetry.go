package telemetry

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"google.golang.org/grpc"
)

// Telemetry holds the metrics and the readiness of one process. It is safe for
// concurrent use.
type Telemetry struct {
	registry *prometheus.Registry
	metrics  *metrics
	polls    *polls
	checks   checks
}

// New returns the Telemetry of a process with that version of mcp. The process is
// not ready until Ready is called.
func New(version string) *Telemetry {
	t := &Telemetry{registry: prometheus.NewRegistry(), metrics: newMetrics(), polls: newPolls()}
	t.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		t.metrics,
	)
	t.Declare(Metric{Name: "mcp_build_info", Help: "The version of mcp; the value is always 1.", Labels: []Label{{Name: "version"}}})
	t.metrics.gauges.with("mcp_build_info", map[string]string{"version": version}).Set(1)
	t.Declare(Metric{Name: stepSeconds, Help: "Duration of one attempt of an activity, in seconds.", Labels: []Label{{Name: "activity"}, {Name: "outcome"}}})
	t.Unready("it has not started yet")
	return t
}

// Instrument adds metrics to a connection to Temporal, and records its polls for
// Polling.
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

// Steps returns an interceptor that measures the duration and the outcome of each
// attempt of an activity. It must see errors as the activity returns them, so it
// follows the interceptors that translate them.
func (t *Telemetry) Steps() interceptor.WorkerInterceptor { return &steps{metrics: t.metrics} }

// Declare describes a metric before its first value. It may be called twice.
func (t *Telemetry) Declare(m Metric) { t.metrics.declare(m) }

// DeclareCounter declares a counter and sets it to zero for each combination of
// its labels' values: a rate includes the first failure only if the counter
// existed before it.
func (t *Telemetry) DeclareCounter(m Metric) {
	t.Declare(m)
	for _, labels := range combinations(m.Labels) {
		t.metrics.counters.with(m.Name, labels)
	}
}

// Read makes each scrape call read for gauges, which must be declared. It replaces
// the function of an earlier call. A scrape omits the gauges if read returns an
// error; its context ends after two seconds.
func (t *Telemetry) Read(read func(context.Context) ([]Gauge, error)) { t.metrics.readFrom(read) }

// Counted makes each scrape call read, which must not block. What it returns must be
// declared. It replaces the function of an earlier call.
func (t *Telemetry) Counted(read func() Counts) { t.metrics.countedBy(read) }

// Check adds a condition for the process to be ready. It replaces a check of the
// same name. The context of ask ends after two seconds.
func (t *Telemetry) Check(name string, ask func(context.Context) error) { t.checks.set(name, ask) }

// Ready declares that the process does its work while its checks succeed.
func (t *Telemetry) Ready() { t.checks.setUnready("") }

// Unready declares that the process does not do its work, with the reason.
func (t *Telemetry) Unready(reason string) { t.checks.setUnready(reason) }

// Polling returns nil if this process polls a queue, or an error with the reason.
// A worker that is fully occupied does not poll; that is not an error.
func (t *Telemetry) Polling(q Queue) error { return t.polls.polling(q, time.Now()) }
