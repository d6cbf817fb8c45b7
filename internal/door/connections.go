package door

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

const (
	// maxConnections bounds the open connections, and maxOfOne those of one identity, so
	// that it takes nothing from others.
	maxConnections, maxOfOne = 8192, 64
)

// connections are those that are open, so that they can be closed.
type connections struct {
	mu   sync.Mutex
	list map[*connection]struct{}
	of   map[string]int
}

// connection is an open one.
type connection struct {
	conn  *tls.Conn
	id    string
	role  string
	until time.Time
	leaf  *x509.Certificate // nil for none
	// forget removes it from the list.
	forget func()
}

func newConnections() *connections {
	return &connections{list: map[*connection]struct{}{}, of: map[string]int{}}
}

// add remembers a connection. It fails where its identity has too many.
func (c *connections) add(conn *tls.Conn, who caller) (*connection, error) {
	known := &connection{conn: conn, id: who.who.ID, role: string(who.who.Role)}
	if who.leaf != nil {
		known.until, known.leaf = who.leaf.NotAfter, who.leaf
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	switch {
	case len(c.list) >= maxConnections:
		err = fault.New(fault.Unavailable, "the gateway has %d open connections, and accepts no more", maxConnections)
	case c.of[known.id] >= maxOfOne:
		err = fault.New(fault.Unavailable, "%s has %d open connections, and may have no more", who.who, maxOfOne)
	}
	known.forget = func() { c.remove(known) }
	c.list[known] = struct{}{}
	c.of[known.id]++
	return known, err
}

// remove forgets a connection. It may be called twice.
func (c *connections) remove(known *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.list[known]; !ok {
		return
	}
	delete(c.list, known)
	if c.of[known.id]--; c.of[known.id] == 0 {
		delete(c.of, known.id)
	}
}

// close closes the connections of revoked identities, and those whose certificates have
// ended, and returns how many there were.
func (c *connections) close(isRevoked func(id string) bool, now time.Time) int {
	return c.closeIf(func(known *connection) bool { return isRevoked(known.id) || now.After(known.until) })
}

// closeIf closes the connections for which ended is true, and returns how many there were.
func (c *connections) closeIf(hasEnded func(*connection) bool) int {
	c.mu.Lock()
	var ended []*connection
	for known := range c.list {
		if hasEnded(known) {
			ended = append(ended, known)
		}
	}
	c.mu.Unlock()
	for _, known := range ended {
		_ = known.conn.NetConn().Close() // without the close of TLS, which may wait for a peer that does not read
	}
	return len(ended)
}

func (c *connections) closeAll() {
	c.close(func(string) bool { return true }, time.Time{})
}

// byRole counts the open connections.
func (c *connections) byRole() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[string]int{}
	for known := range c.list {
		counts[known.role]++
	}
	return counts
}

// Close forgets the connection when the server has closed it.
func (s *served) Close() error {
	s.known.forget()
	return s.Conn.Close()
}
