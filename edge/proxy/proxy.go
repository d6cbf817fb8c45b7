package proxy

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/metacircular/mcp/edge/table"
	"github.com/metacircular/mcp/internal/fleet"
)

// Options configure a Proxy.
type Options struct {
	// Log receives what an operator should know: upstreams that do not answer.
	Log *slog.Logger
	// Listening returns the port on which clients reach a route's port, where an edge
	// listens on others than 80 and 443; nil for the same port.
	Listening func(port int) int
}

// Proxy serves the routes of its table. Its methods may be called concurrently.
type Proxy struct {
	options   Options
	table     atomic.Pointer[table.Table]
	upstreams upstreams
	holds     holds

	mu        sync.Mutex
	published map[string]fleet.Publication // by service
	changed   chan struct{}                // closed by the next change of the table
}

// New returns a proxy without routes.
func New(o Options) *Proxy {
	if o.Listening == nil {
		o.Listening = func(port int) int { return port }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{options: o, published: map[string]fleet.Publication{}, changed: make(chan struct{})}
	p.table.Store(&table.Table{})
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
	if changed {
		p.table.Store(table.New(slices.Collect(maps.Values(p.published))))
		close(p.changed)
		p.changed = make(chan struct{})
	}
	return p.table.Load()
}

// Published returns the publications that are served, by service. One without routes
// is kept, so that an older one cannot return.
func (p *Proxy) Published() map[string]fleet.Publication {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.published)
}

// next returns a channel that is closed by the next change of the table.
func (p *Proxy) next() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}
