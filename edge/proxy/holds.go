package proxy

import (
	"context"
	"sync"
	"time"

	"github.com/metacircular/mcp/edge/table"
)

// Bounds of a hold: how long a request waits, and how many of a route do at once.
const (
	holdTime = 30 * time.Second
	holdMost = 1000
)

// holds counts the requests that wait, by service and endpoint.
type holds struct {
	mu      sync.Mutex
	waiting map[[2]string]int
}

func (h *holds) enter(of [2]string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil {
		h.waiting = map[[2]string]int{}
	}
	if h.waiting[of] >= holdMost {
		return false
	}
	h.waiting[of]++
	return true
}

func (h *holds) leave(of [2]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting[of]--; h.waiting[of] == 0 {
		delete(h.waiting, of)
	}
}

// release waits until the route that find returns is not held, and returns it; nil if
// there is none any more. It reports false where that takes too long, or too many
// wait already.
func (p *Proxy) release(ctx context.Context, r *table.Route, find func() *table.Route) (*table.Route, bool) {
	of := [2]string{r.Service, r.Endpoint.String()}
	if !p.holds.enter(of) {
		return nil, false
	}
	defer p.holds.leave(of)
	limit := time.NewTimer(holdTime)
	defer limit.Stop()
	for {
		changed := p.next() // before the table is read, so that no change is missed
		if r = find(); r == nil || !r.Held {
			return r, true
		}
		select {
		case <-changed:
		case <-limit.C:
			return nil, false
		case <-ctx.Done():
			return nil, false
		}
	}
}
