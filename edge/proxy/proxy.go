package proxy

import (
	"cmp"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/metacircular/mcp/edge/table"
	"github.com/metacircular/mcp/internal/fleet"
)

// Options configure a Proxy.
type Options struct {
	// Log receives what an operator should know: upstreams that do not answer.
	Log *slog.Logger
	// Listening returns the port on which clients reach a route's port, if an edge
	// listens on ports other than 80 and 443; nil for the same port.
	Listening func(port int) int
	// TrustedProxies are the networks of proxies before the edge. Only what these say of
	// the client's address and protocol counts.
	TrustedProxies []netip.Prefix
	// Access, if not nil, is called after each request and each connection. It must not
	// block.
	Access func(Access)
	// ClientIdle is how long a client may pause while it sends a body, or takes nothing
	// of an answer; 0 is a minute. A stream of HTTP/2 whose length is not known may
	// pause for longer.
	ClientIdle time.Duration
	// SessionIdle is how long a session of udp packets lasts without any; 0 is a minute.
	SessionIdle time.Duration
	// SessionMost is how many sessions of a port there are at once; 0 is 4,096. One more
	// ends the one that had no packet for the longest time: the source of a packet is
	// easily forged.
	SessionMost int
	// HoldTime is how long a request waits while its route is held, HoldMost how many of
	// one route do at once; 0 is 30 seconds, and 1,000.
	HoldTime time.Duration
	HoldMost int
}

// Proxy serves the routes of its table. Its methods may be called concurrently.
type Proxy struct {
	options   Options
	current   atomic.Pointer[snapshot]
	upstreams upstreams
	holds     holds
	passwords *passwords
	unrouted  *counters // of requests and connections without a route

	mu        sync.Mutex
	published map[string]fleet.Publication // by service
	services  map[string]*counters         // of those that have routes
}

// snapshot is what the proxy serves between two changes.
type snapshot struct {
	table   *table.Table
	routes  []*route      // by the Index of their table.Route
	changed chan struct{} // closed when another one takes its place
}

// route is a route with what requests need of it.
type route struct {
	*table.Route
	endpoint  string // as text
	upstreams []*upstream
	counters  *counters
	auth      *users // nil if everyone is admitted
}

// New returns a proxy without routes.
func New(o Options) *Proxy {
	if o.Listening == nil {
		o.Listening = func(port int) int { return port }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.ClientIdle = cmp.Or(o.ClientIdle, time.Minute)
	o.SessionIdle = cmp.Or(o.SessionIdle, time.Minute)
	o.SessionMost = cmp.Or(o.SessionMost, 4096)
	o.HoldTime = cmp.Or(o.HoldTime, table.HoldTime)
	o.HoldMost = cmp.Or(o.HoldMost, 1000)
	p := &Proxy{options: o, published: map[string]fleet.Publication{}, services: map[string]*counters{}, unrouted: &counters{}, passwords: newPasswords()}
	p.upstreams.known = map[string]*upstream{}
	p.current.Store(&snapshot{table: &table.Table{}, changed: make(chan struct{})})
	return p
}

// Publish makes the proxy serve the publications, each instead of its service's former
// one, and returns the table. A publication that is not newer than the one that it
// would replace is ignored, so that a call may be repeated and may arrive late.
func (p *Proxy) Publish(publications ...fleet.Publication) *table.Table {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := false
	for _, publication := range publications {
		if former, ok := p.published[publication.Service]; ok && publication.Version <= former.Version {
			continue
		}
		p.published[publication.Service], changed = publication, true
	}
	if !changed {
		return p.current.Load().table
	}
	next, upstreams := p.snapshot(table.New(slices.Collect(maps.Values(p.published))))
	former := p.current.Swap(next)
	p.upstreams.retire(upstreams)
	close(former.changed)
	return next.table
}

// snapshot prepares what t needs, and returns its upstreams too, by address.
func (p *Proxy) snapshot(t *table.Table) (*snapshot, map[string]*upstream) {
	s := &snapshot{table: t, changed: make(chan struct{})}
	services := map[string]*counters{}
	var published []string
	for _, r := range t.Routes() {
		published = append(published, r.Upstreams...)
		if services[r.Service] == nil {
			services[r.Service] = p.services[r.Service]
		}
		if services[r.Service] == nil {
			services[r.Service] = &counters{}
		}
	}
	p.services = services
	upstreams := p.upstreams.publish(published)
	for _, r := range t.Routes() {
		served := &route{Route: r, endpoint: r.Endpoint.String(), counters: services[r.Service], auth: newUsers(r.BasicAuth)}
		for _, address := range r.Upstreams {
			served.upstreams = append(served.upstreams, upstreams[address])
		}
		s.routes = append(s.routes, served)
	}
	return s, upstreams
}

// Published returns the publications that are served, by service. One without routes
// is kept, so that an older one cannot return.
func (p *Proxy) Published() map[string]fleet.Publication {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.published)
}

// Table returns the table that is served.
func (p *Proxy) Table() *table.Table { return p.current.Load().table }

// Changed returns the table that is served, and a channel that is closed when another
// one takes its place.
func (p *Proxy) Changed() (*table.Table, <-chan struct{}) {
	s := p.current.Load()
	return s.table, s.changed
}

// of returns the route of s that a lookup in its table has found; nil for nil.
func (s *snapshot) of(r *table.Route) *route {
	if r == nil {
		return nil
	}
	return s.routes[r.Index]
}
