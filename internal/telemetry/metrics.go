package telemetry

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric describes one of mcp's metrics. Name is the full name that Prometheus
// shows. Its series have these labels and no others.
type Metric struct {
	Name, Help string
	Labels     []Label
}

// Label is a label with its possible values.
type Label struct {
	Name   string
	Values []string
}

// buckets holds the bounds of every histogram, in seconds: from the duration of a
// call to Temporal to the deadline of a deploy.
var buckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800}

// metrics holds every metric of a process except those of Go's runtime. It creates
// a series at its first value, because the SDK's metrics cannot be listed; so it
// is a collector that describes nothing in advance.
type metrics struct {
	mu         sync.Mutex
	declared   map[string]Metric
	counters   family[prometheus.Counter]
	gauges     family[prometheus.Gauge]
	histograms family[prometheus.Observer]
	// read is the function of Telemetry.Read; nil if there is none.
	read func(context.Context) ([]Gauge, error)
	// counted is the function of Telemetry.Counted; nil if there is none.
	counted func() Counts
}

func newMetrics() *metrics {
	m := &metrics{declared: map[string]Metric{}}
	m.counters = family[prometheus.Counter]{m, map[string]vector[prometheus.Counter]{}, func(name, help string, labels []string) vector[prometheus.Counter] {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}}
	m.gauges = family[prometheus.Gauge]{m, map[string]vector[prometheus.Gauge]{}, func(name, help string, labels []string) vector[prometheus.Gauge] {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}}
	m.histograms = family[prometheus.Observer]{m, map[string]vector[prometheus.Observer]{}, func(name, help string, labels []string) vector[prometheus.Observer] {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}}
	return m
}

// Gauge is the current value of a metric.
type Gauge struct {
	Name   string
	Labels map[string]string
	Value  float64
}

// Counts are metrics that their owner counts itself.
type Counts struct {
	// Counters have the type of Gauge, and grow.
	Gauges, Counters []Gauge
	Histograms       []Histogram
}

// Histogram is the distribution of a metric: Buckets has, by upper bound, how many
// values were not above it.
type Histogram struct {
	Name    string
	Labels  map[string]string
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64
}

// combinations returns every choice of one value for each label.
func combinations(labels []Label) []map[string]string {
	all := []map[string]string{{}}
	for _, label := range labels {
		var next []map[string]string
		for _, chosen := range all {
			for _, value := range label.Values {
				more := maps.Clone(chosen)
				more[label.Name] = value
				next = append(next, more)
			}
		}
		all = next
	}
	return all
}

func (m *metrics) declare(metric Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.declared[metric.Name] = metric
}

func (m *metrics) readFrom(read func(context.Context) ([]Gauge, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read = read
}

func (m *metrics) countedBy(read func() Counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counted = read
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	counts := Counts{Gauges: m.readings()}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counters.collect(to)
	m.gauges.collect(to)
	m.histograms.collect(to)
	if m.counted != nil {
		counted := m.counted()
		counted.Gauges = append(counted.Gauges, counts.Gauges...)
		counts = counted
	}
	for _, g := range counts.Gauges {
		desc, values := m.constant(g.Name, g.Labels)
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, g.Value, values...)
	}
	for _, c := range counts.Counters {
		desc, values := m.constant(c.Name, c.Labels)
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, c.Value, values...)
	}
	for _, h := range counts.Histograms {
		desc, values := m.constant(h.Name, h.Labels)
		to <- prometheus.MustNewConstHistogram(desc, h.Count, h.Sum, h.Buckets, values...)
	}
}

// constant returns the description and the labels' values of a metric that is read.
func (m *metrics) constant(name string, labels map[string]string) (desc *prometheus.Desc, values []string) {
	help, names := m.describe(name, labels)
	for _, label := range names {
		values = append(values, labels[label])
	}
	return prometheus.NewDesc(name, help, names, nil), values
}

// readings calls read; it returns nil if that fails.
func (m *metrics) readings() []Gauge {
	m.mu.Lock()
	read := m.read
	m.mu.Unlock()
	if read == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	gauges, err := read(ctx)
	if err != nil {
		return nil // /readyz reports the cause
	}
	return gauges
}

// describe returns a metric's help and the names of its labels. One that was not
// declared is the SDK's, with the labels that the SDK sets.
func (m *metrics) describe(name string, tags map[string]string) (help string, labels []string) {
	declared, ok := m.declared[name]
	if !ok {
		return "A metric of Temporal's SDK: https://docs.temporal.io/references/sdk-metrics", slices.Sorted(maps.Keys(tags))
	}
	for _, label := range declared.Labels {
		labels = append(labels, label.Name)
	}
	return declared.Help, labels
}

// vector is a metric with labels, of any kind.
type vector[M any] interface {
	prometheus.Collector
	With(prometheus.Labels) M
}

// family holds the metrics of one kind, keyed by the names of the metric and of its
// labels: the SDK uses one metric with different labels.
type family[M any] struct {
	of      *metrics
	vectors map[string]vector[M]
	make    func(name, help string, labels []string) vector[M]
}

// with returns the series of a metric with these labels, and creates it if it is
// missing.
func (f *family[M]) with(name string, tags map[string]string) M {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	help, names := f.of.describe(name, tags)
	key := name + "{" + strings.Join(names, ",") + "}"
	found, ok := f.vectors[key]
	if !ok {
		found = f.make(name, help, names)
		f.vectors[key] = found
	}
	labels := prometheus.Labels{}
	for _, label := range names {
		labels[label] = tags[label]
	}
	return found.With(labels)
}

func (f *family[M]) collect(to chan<- prometheus.Metric) {
	for _, v := range f.vectors {
		v.Collect(to)
	}
}
