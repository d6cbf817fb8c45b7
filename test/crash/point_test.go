package crash

import (
	"fmt"
	"sync"
)

// point is where a fault strikes: before, inside or after the nth activity of
// that name in a deploy.
type point struct {
	activity string
	nth      int
	where    string
}

const (
	before = "before"
	inside = "inside"
	after  = "after"
)

// counter tells which activity of its name a moment belongs to.
type counter struct {
	mu    sync.Mutex
	count map[string]int
	nth   map[string]int // by activity id
}

func newCounter() *counter { return &counter{count: map[string]int{}, nth: map[string]int{}} }

func (c *counter) of(m moment) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.nth[m.ID]; !known {
		c.count[m.Activity]++
		c.nth[m.ID] = c.count[m.Activity]
	}
	return c.nth[m.ID]
}

func (at point) String() string {
	if at.nth > 1 {
		return fmt.Sprintf("%s %s %d", at.where, at.activity, at.nth)
	}
	return at.where + " " + at.activity
}
