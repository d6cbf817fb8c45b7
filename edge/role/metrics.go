package role

import (
	"time"

	"github.com/metacircular/mcp/edge/proxy"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/telemetry"
)

// The metrics of an edge. Unlike any other of mcp's they name services: an edge has as
// many as it serves.
const (
	edgeRequests    = "mcp_edge_requests_total"
	edgeSeconds     = "mcp_edge_request_seconds"
	edgeConnections = "mcp_edge_connections_total"
	edgeBytes       = "mcp_edge_sent_bytes_total"
	edgeOpen        = "mcp_edge_open"
	edgeCertificate = "mcp_edge_certificate_expiry_seconds"
)

// noRoute is the service of what no route was found for.
const noRoute = "-"

// statuses are the classes of answers, by the first digit of their status.
var statuses = []string{"gone", "1xx", "2xx", "3xx", "4xx", "5xx"}

// measure declares the metrics of what clients ask for, which are read at each scrape.
func measure(t *telemetry.Telemetry, counts func() []proxy.ServiceCount, certificates func() []fleet.Certificate) {
	service := telemetry.Label{Name: "service"}
	of := func(labels ...telemetry.Label) []telemetry.Label {
		return append([]telemetry.Label{service}, labels...)
	}
	for _, m := range []telemetry.Metric{
		{Name: edgeRequests, Help: "Requests, by the class of the answer's status; gone if the client went away before. The service - has those without a route.", Labels: of(telemetry.Label{Name: "status"})},
		{Name: edgeSeconds, Help: "The duration of requests until the end of their answers, in seconds.", Labels: of()},
		{Name: edgeConnections, Help: "Connections of l4 routes, and sessions of udp packets.", Labels: of()},
		{Name: edgeBytes, Help: "Bytes sent to clients.", Labels: of()},
		{Name: edgeOpen, Help: "Requests, connections and sessions that are open.", Labels: of()},
		{Name: edgeCertificate, Help: "When the certificate of a hostname expires, in seconds since 1970; 0 if there is none.", Labels: []telemetry.Label{{Name: "hostname"}}},
	} {
		t.Declare(m)
	}
	t.Counted(func() telemetry.Counts {
		var all telemetry.Counts
		for _, c := range counts() {
			add(&all, c)
		}
		for _, c := range certificates() {
			all.Gauges = append(all.Gauges, telemetry.Gauge{Name: edgeCertificate, Labels: map[string]string{"hostname": c.Hostname}, Value: expiry(c)})
		}
		return all
	})
}

// add adds the metrics of one service.
func add(all *telemetry.Counts, c proxy.ServiceCount) {
	if c.Service == "" {
		c.Service = noRoute
	}
	labels := map[string]string{"service": c.Service}
	for i, n := range c.Requests {
		all.Counters = append(all.Counters, telemetry.Gauge{Name: edgeRequests, Labels: map[string]string{"service": c.Service, "status": statuses[i]}, Value: float64(n)})
	}
	all.Counters = append(all.Counters,
		telemetry.Gauge{Name: edgeConnections, Labels: labels, Value: float64(c.Connections)},
		telemetry.Gauge{Name: edgeBytes, Labels: labels, Value: float64(c.Bytes)})
	all.Gauges = append(all.Gauges, telemetry.Gauge{Name: edgeOpen, Labels: labels, Value: float64(c.Open)})
	latency := telemetry.Histogram{Name: edgeSeconds, Labels: labels, Sum: c.Seconds, Buckets: map[float64]uint64{}}
	for i, bound := range proxy.Buckets {
		latency.Count += c.Latency[i]
		latency.Buckets[bound.Seconds()] = latency.Count
	}
	latency.Count += c.Latency[len(proxy.Buckets)]
	all.Histograms = append(all.Histograms, latency)
}

func expiry(c fleet.Certificate) float64 {
	if c.Until.IsZero() {
		return 0
	}
	return float64(c.Until.UnixMilli()) / float64(time.Second.Milliseconds())
}
