package telemetry

import (
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
)

// handler receives the metrics of Temporal's SDK, and those of workflows through
// it. It appends _total to a counter's name and _seconds to a timer's, as
// Prometheus requires and Temporal's dashboards expect.
type handler struct {
	metrics *metrics
	tags    map[string]string
}

// WithTags implements client.MetricsHandler.
func (h handler) WithTags(tags map[string]string) client.MetricsHandler {
	all := make(map[string]string, len(h.tags)+len(tags))
	maps.Copy(all, h.tags)
	maps.Copy(all, tags)
	return handler{h.metrics, all}
}

// Counter implements client.MetricsHandler.
func (h handler) Counter(name string) client.MetricsCounter {
	return counter{h.metrics.counters.with(name+"_total", h.tags)}
}

// Gauge implements client.MetricsHandler.
func (h handler) Gauge(name string) client.MetricsGauge {
	return gauge{h.metrics.gauges.with(name, h.tags)}
}

// Timer implements client.MetricsHandler.
func (h handler) Timer(name string) client.MetricsTimer {
	return timer{h.metrics.histograms.with(name+"_seconds", h.tags)}
}

type counter struct{ to prometheus.Counter }

// Inc implements client.MetricsCounter.
func (c counter) Inc(n int64) { c.to.Add(float64(n)) }

type gauge struct{ to prometheus.Gauge }

// Update implements client.MetricsGauge.
func (g gauge) Update(value float64) { g.to.Set(value) }

type timer struct{ to prometheus.Observer }

// Record implements client.MetricsTimer.
func (t timer) Record(d time.Duration) { t.to.Observe(d.Seconds()) }
