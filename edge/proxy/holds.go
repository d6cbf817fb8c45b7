package proxy

import (
	"context"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
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

func (h *holds) enter(of held, most int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil {
		h.waiting = map[held]int{}
	}
	if h.waiting[of] >= most {
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

// hold waits for the next snapshot. It returns errHeld if that takes too long, or
// too many wait already.
func (t *turn) hold(ctx context.Context) error {
	of := held{t.route.Service, t.route.Endpoint}
	if !t.proxy.holds.enter(of, t.proxy.options.HoldMost) {
		return errHeld
	}
	defer t.proxy.holds.leave(of)
	if t.held.IsZero() {
		t.held = time.Now().Add(t.proxy.options.HoldTime)
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
