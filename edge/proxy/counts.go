package proxy

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// Buckets are the upper bounds of the latencies that ServiceCount counts, ascending.
var Buckets = []time.Duration{
	time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// ServiceCount is what has been served for one service since the process began, or
// since the service was published again.
type ServiceCount struct {
	// Service is "" for requests and connections without a route.
	Service string
	// Requests counts the answers by the first digit of their status: Requests[2] are
	// the successes. Requests[0] are those whose client went away before an answer.
	Requests [6]uint64
	// Latency counts the requests that took no longer than each of Buckets, and longer
	// than the bucket before; the last element those that took longer than all.
	// Upgraded connections are left out.
	Latency [13]uint64
	// Seconds is the sum of what Latency counts.
	Seconds float64
	// Connections counts the tcp connections and the udp sessions.
	Connections uint64
	// Bytes counts what was sent to clients.
	Bytes uint64
	// Open is how many requests, connections and sessions there are now.
	Open int64
}

// Counts returns the counts of every service that has routes, sorted by service; the
// counts without a route come first.
func (p *Proxy) Counts() []ServiceCount {
	p.mu.Lock()
	services := maps.Clone(p.services)
	p.mu.Unlock()
	counts := make([]ServiceCount, 0, len(services)+1)
	counts = append(counts, p.unrouted.read(""))
	for _, name := range slices.Sorted(maps.Keys(services)) {
		counts = append(counts, services[name].read(name))
	}
	return counts
}

// counters are those of a service.
type counters struct {
	requests    [6]atomic.Uint64
	latency     [13]atomic.Uint64
	nanoseconds atomic.Int64
	connections atomic.Uint64
	bytes       atomic.Uint64
	open        atomic.Int64
	logged      atomic.Int64 // when an upstream's failure was logged, in seconds since 1970
}

func (c *counters) read(name string) ServiceCount {
	count := ServiceCount{
		Service:     name,
		Seconds:     time.Duration(c.nanoseconds.Load()).Seconds(),
		Connections: c.connections.Load(),
		Bytes:       c.bytes.Load(),
		Open:        c.open.Load(),
	}
	for i := range c.requests {
		count.Requests[i] = c.requests[i].Load()
	}
	for i := range c.latency {
		count.Latency[i] = c.latency[i].Load()
	}
	return count
}

// request counts an answer.
func (c *counters) request(status int, bytes int64) {
	c.requests[max(0, min(status/100, 5))].Add(1)
	c.bytes.Add(uint64(bytes))
}

func (c *counters) took(d time.Duration) {
	at, _ := slices.BinarySearch(Buckets, d)
	c.latency[at].Add(1)
	c.nanoseconds.Add(int64(d))
}
