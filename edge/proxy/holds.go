package proxy

import (
	"context"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// Bounds of a hold: how long a request waits, and how many of a route do at once.
const (
	holdTime = 30 * time.Second
	holdMost = 1000
)

// holds counts the requests that wait, by route.
type holds struct {
	mu      sync.Mutex
	waiting map[held]int
}

type held struct {
	service  string
	endpoint fleet.Endpoint
}

func (h *holds) enter(of held) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil {
		h.waiting = map[held]int{}
	}
	if h.waiting[of] >= holdMost {
		return false
	}
	h.waiting[of]++
	return true
}

func (h *holds) leave(of held) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting[of]--; h.waiting[of] == 0 {
		delete(h.waiting, of)
	}
}

// hold waits for the next snapshot. It returns errHeld where that takes too long, or
// too many wait already.
func (t *turn) hold(ctx context.Context) error {
	of := held{t.route.Service, t.route.Endpoint}
	if !t.proxy.holds.enter(of) {
		return errHeld
	}
	defer t.proxy.holds.leave(of)
	if t.held.IsZero() {
		t.held = time.Now().Add(holdTime)
	}
	limit := time.NewTimer(time.Until(t.held))
	defer limit.Stop()
	select {
	case <-t.snapshot.changed:
		return nil
	case <-limit.C:
		return errHeld
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
