package gateway

import (
	"time"

	"github.com/metacircular/mcp/internal/door"
	"github.com/metacircular/mcp/internal/door/law"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/internal/telemetry"
)

// The metrics of a gateway.
const (
	connections = "mcp_gateway_connections"
	events      = "mcp_gateway_events_total"
	refusals    = "mcp_gateway_refusals_total"
	listAge     = "mcp_gateway_revocations_age_seconds"
	nodeCount   = "mcp_gateway_stream_nodes"
)

// measure makes each scrape report what the gateway does.
func measure(t *telemetry.Telemetry, d *door.Door, judged *law.Law, hub *stream.Hub) {
	of := func(names ...string) (labels []telemetry.Label) {
		for _, name := range names {
			labels = append(labels, telemetry.Label{Name: name})
		}
		return labels
	}
	for _, m := range []telemetry.Metric{
		{Name: connections, Help: "The number of open connections.", Labels: of("role")},
		{Name: events, Help: "The number of refused callers, failed handshakes, and requests for identities.", Labels: of("event", "role")},
		{Name: refusals, Help: "The number of calls that were refused.", Labels: of("role", "method", "reason")},
		{Name: listAge, Help: "How long ago the list of revoked identities was read from Postgres, in seconds."},
		{Name: nodeCount, Help: "The number of nodes that are connected for streams."},
	} {
		t.Declare(m)
	}
	t.Counted(func() telemetry.Counts {
		state := d.State()
		var c telemetry.Counts
		for role, n := range state.Connections {
			c.Gauges = append(c.Gauges, telemetry.Gauge{Name: connections, Labels: map[string]string{"role": role}, Value: float64(n)})
		}
		if !state.ListRead.IsZero() {
			c.Gauges = append(c.Gauges, telemetry.Gauge{Name: listAge, Value: time.Since(state.ListRead).Seconds()})
		}
		c.Gauges = append(c.Gauges, telemetry.Gauge{Name: nodeCount, Value: float64(len(hub.Nodes()))})
		for e, n := range state.Events {
			c.Counters = append(c.Counters, telemetry.Gauge{Name: events, Labels: map[string]string{"event": e.What, "role": e.Role}, Value: float64(n)})
		}
		for r, n := range judged.Refusals() {
			c.Counters = append(c.Counters, telemetry.Gauge{Name: refusals,
				Labels: map[string]string{"role": string(r.Role), "method": r.Method, "reason": string(r.Reason)}, Value: float64(n)})
		}
		return c
	})
}
