package proxy

import (
	"context"
	"errors"
)

// Drain waits until none of the addresses has a request, a connection or a session, or
// ctx ends, and returns how many remain at each that has any. Addresses that are still
// published get new ones meanwhile. If the deadline of ctx passes, Drain closes what
// Cut closes.
func (p *Proxy) Drain(ctx context.Context, addresses []string) (remaining map[string]int) {
	remaining = map[string]int{}
	for _, address := range addresses {
		u := p.upstreams.get(address)
		if u == nil || u.wait(ctx) == nil {
			continue
		}
		if n := u.active.Load(); n > 0 {
			remaining[address] = int(n)
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		p.Cut(addresses)
	}
	return remaining
}

// Cut closes the upgraded connections, the tcp connections and the udp sessions of the
// addresses that are not published any more. Their requests go on.
func (p *Proxy) Cut(addresses []string) {
	for _, address := range addresses {
		if u := p.upstreams.get(address); u != nil && !u.published.Load() {
			u.cut()
		}
	}
}

// Active returns how many requests, connections and sessions each address has, without
// those that have none.
func (p *Proxy) Active() map[string]int {
	active := map[string]int{}
	for _, u := range p.upstreams.all() {
		if n := u.active.Load(); n > 0 {
			active[u.address] = int(n)
		}
	}
	return active
}
