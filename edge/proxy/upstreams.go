package proxy

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ejection is how long an upstream that refused a connection is tried last.
const ejection = 2 * time.Second

// upstream is one address. It lives as long as the proxy has used it.
type upstream struct {
	address string
	// active is how many requests and connections it has.
	active atomic.Int64
	// failed is when it last refused a connection, in nanoseconds since 1970.
	failed atomic.Int64
	// idle is closed, and replaced, each time that active becomes 0.
	mu     sync.Mutex
	waiter chan struct{}
}

// begin counts a request or a connection; the caller calls end once.
func (u *upstream) begin() { u.active.Add(1) }

func (u *upstream) end() {
	if u.active.Add(-1) > 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.waiter != nil {
		close(u.waiter)
		u.waiter = nil
	}
}

// wait returns when the upstream has no request and no connection, or with the error
// of ctx.
func (u *upstream) wait(ctx context.Context) error {
	for {
		u.mu.Lock()
		if u.waiter == nil {
			u.waiter = make(chan struct{})
		}
		waiter := u.waiter
		u.mu.Unlock()
		if u.active.Load() == 0 {
			return nil
		}
		select {
		case <-waiter:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (u *upstream) fail() { u.failed.Store(time.Now().UnixNano()) }

// ejected reports whether the upstream refused a connection a moment ago.
func (u *upstream) ejected() bool {
	at := u.failed.Load()
	return at > 0 && time.Since(time.Unix(0, at)) < ejection
}

// upstreams holds every upstream that was used, by address.
type upstreams struct{ known sync.Map }

func (s *upstreams) get(address string) *upstream {
	if u, ok := s.known.Load(address); ok {
		return u.(*upstream)
	}
	u, _ := s.known.LoadOrStore(address, &upstream{address: address})
	return u.(*upstream)
}

// order returns the upstreams in the order in which they are tried: from a random one
// on, those that refused a connection a moment ago last.
func (s *upstreams) order(addresses []string) []*upstream {
	all := make([]*upstream, 0, len(addresses))
	if len(addresses) == 0 {
		return all
	}
	first := rand.IntN(len(addresses))
	var last []*upstream
	for i := range addresses {
		u := s.get(addresses[(first+i)%len(addresses)])
		if len(addresses) > 1 && u.ejected() {
			last = append(last, u)
		} else {
			all = append(all, u)
		}
	}
	return append(all, last...)
}

// Drain waits until none of the addresses has a request or a connection, or until ctx
// ends, and returns how many of each address remain. Addresses that are still
// published get new ones meanwhile.
func (p *Proxy) Drain(ctx context.Context, addresses []string) (remaining map[string]int) {
	remaining = map[string]int{}
	for _, address := range addresses {
		u := p.upstreams.get(address)
		if u.wait(ctx) != nil {
			remaining[address] = int(u.active.Load())
		}
	}
	maps.DeleteFunc(remaining, func(_ string, n int) bool { return n == 0 })
	p.forget(addresses)
	return remaining
}

// forget drops what is known of addresses that are neither published nor in use.
func (p *Proxy) forget(addresses []string) {
	used := map[string]bool{}
	for _, publication := range p.Published() {
		for _, r := range publication.Routes {
			for _, address := range r.Upstreams {
				used[address] = true
			}
		}
	}
	for _, address := range slices.Compact(slices.Sorted(slices.Values(addresses))) {
		if u := p.upstreams.get(address); !used[address] && u.active.Load() == 0 {
			p.upstreams.known.CompareAndDelete(address, u)
		}
	}
}

// Active returns how many requests and connections each address has that has any.
func (p *Proxy) Active() map[string]int {
	active := map[string]int{}
	for address, u := range p.upstreams.known.Range {
		if n := u.(*upstream).active.Load(); n > 0 {
			active[address.(string)] = int(n)
		}
	}
	return active
}
