package crash

import (
	"fmt"
	"sync"

	"github.com/metacircular/mcp/test/crash/announce"
)

// point is when a fault is injected: before, inside or after the nth activity of that
// name in a deploy.
type point struct {
	activity string
	nth      int
	where    string
}

const (
	before = "before"
	inside = "inside"
	after  = "after"
	// in is in the middle of the nth call of a kind to an engine, whose name takes the
	// place of the activity's.
	in = "in"
)

// counter numbers the activities of each name. A local activity counts once with the
// activity that follows where it takes too long.
type counter struct {
	mu    sync.Mutex
	count map[string]int
	local map[string]bool
	nth   map[string]int // by the moment's key
}

func newCounter() *counter {
	return &counter{count: map[string]int{}, local: map[string]bool{}, nth: map[string]int{}}
}

func (c *counter) of(m announce.Moment) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.nth[m.Key()]; !known {
		if m.Local || !c.local[m.Activity] {
			c.count[m.Activity]++
		}
		c.local[m.Activity] = m.Local || c.local[m.Activity]
		c.nth[m.Key()] = c.count[m.Activity]
	}
	return c.nth[m.Key()]
}

func (at point) String() string {
	if at.nth > 1 {
		return fmt.Sprintf("%s %s %d", at.where, at.activity, at.nth)
	}
	return at.where + " " + at.activity
}
