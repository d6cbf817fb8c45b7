package telemetry

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric describes one of mcp's own metrics, under the whole name that
// Prometheus shows. One of these labels alone sets its series apart.
type Metric struct {
	Name, Help string
	Labels     []Label
}

// Label is a label with the values that it can have.
type Label struct {
	Name   string
	Values []string
}

// buckets are the bounds of every histogram, in seconds: from a call to
// Temporal to the deadline of a deploy.
var buckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800}

// metrics holds every metric of a process but those of Go's runtime. Series
// appear when they are first needed, since nobody can list the SDK's: that is
// why it is a collector which describes nothing beforehand.
type metrics struct {
	mu         sync.Mutex
	declared   map[string]Metric
	counters   family[prometheus.Counter]
	gauges     family[prometheus.Gauge]
	histograms family[prometheus.Observer]
	// read is what Telemetry.Read was given; nil if nothing.
	read func(context.Context) ([]Gauge, error)
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

// Declare describes a metric before it is first measured. It may be called
// twice.
func (t *Telemetry) Declare(m Metric) {
	t.metrics.mu.Lock()
	defer t.metrics.mu.Unlock()
	t.metrics.declared[m.Name] = m
}

// DeclareCounter declares a counter, and shows it with a zero for each
// combination of its labels' values: a rate sees the first failure only if it
// has seen none before.
func (t *Telemetry) DeclareCounter(m Metric) {
	t.Declare(m)
	for _, labels := range combinations(m.Labels) {
		t.metrics.counters.with(m.Name, labels)
	}
}

// Gauge is the value of a metric as it is now.
type Gauge struct {
	Name   string
	Labels map[string]string
	Value  float64
}

// Read has gauges, which must be declared, read at each scrape; it goes over
// what was to be read before. A scrape goes without those that cannot be read
// within two seconds.
func (t *Telemetry) Read(read func(context.Context) ([]Gauge, error)) {
	t.metrics.mu.Lock()
	defer t.metrics.mu.Unlock()
	t.metrics.read = read
}

// combinations are all choices of one value for each label.
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

// Describe implements prometheus.Collector.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	readings := m.readings()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counters.collect(to)
	m.gauges.collect(to)
	m.histograms.collect(to)
	for _, g := range readings {
		help, names := m.describe(g.Name, g.Labels)
		values := make([]string, 0, len(names))
		for _, name := range names {
			values = append(values, g.Labels[name])
		}
		to <- prometheus.MustNewConstMetric(prometheus.NewDesc(g.Name, help, names, nil), prometheus.GaugeValue, g.Value, values...)
	}
}

// readings are the gauges that are read now.
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
		return nil // why is for /readyz to say
	}
	return gauges
}

// describe gives a metric's help and the names of its labels. One that was not
// declared is the SDK's, and has the labels that the SDK gives it.
func (m *metrics) describe(name string, tags map[string]string) (help string, labels []string) {
	known, ok := m.declared[name]
	if !ok {
		return "Of Temporal's SDK: https://docs.temporal.io/references/sdk-metrics", slices.Sorted(maps.Keys(tags))
	}
	for _, label := range known.Labels {
		labels = append(labels, label.Name)
	}
	return known.Help, labels
}

// vector is a metric with labels, of any kind.
type vector[M any] interface {
	prometheus.Collector
	With(prometheus.Labels) M
}

// family holds the metrics of one kind, by their names and their labels': the
// SDK gives one name different labels in different places.
type family[M any] struct {
	of      *metrics
	vectors map[string]vector[M]
	make    func(name, help string, labels []string) vector[M]
}

// with finds, or begins, the series of a metric with these labels.
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
