package door

import (
	"sync"
	"time"
)

// counts counts what happens at the door, by what and role.
type counts struct {
	mu sync.Mutex
	of map[Event]int
}

// Event is what happened to a connection or a request of a role; "" for a role that is
// not known.
type Event struct{ What, Role string }

func (c *counts) add(what, role string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[Event]int{}
	}
	c.of[Event{what, role}]++
}

// State is what a gateway reports of itself.
type State struct {
	// Events counts refused callers, failed handshakes and certificates since the start.
	Events map[Event]int
	// Connections counts the open ones by role.
	Connections map[string]int
	// ListRead is when the list of revoked identities was last read; zero for never.
	ListRead time.Time
	// ListError is why it could not be read since; nil if it could.
	ListError error
}

// State returns the present state.
func (d *Door) State() State {
	s := State{Events: map[Event]int{}, Connections: d.open.byRole()}
	s.ListRead, s.ListError = d.revoked.state()
	d.counts.mu.Lock()
	defer d.counts.mu.Unlock()
	for e, n := range d.counts.of {
		s.Events[e] = n
	}
	return s
}
