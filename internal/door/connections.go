package door

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
)

const (
	// maxMachines bounds the open connections of nodes, edges, builders and control workers,
	// and maxPersons those of operators, deployers and readers: neither takes from the other.
	maxMachines, maxPersons = 4096, 4096
	// maxOfMachine and maxOfPerson bound those of one identity, so that it takes nothing from
	// others. A machine has one for calls and one for streams, for each of its workers. A
	// person has two for each command that follows something, and a control worker some for
	// each of its processes. A follower's two connections and its stream take 250 KB, of which
	// half is the gateway's.
	maxOfMachine, maxOfControl, maxOfPerson = 64, 256, 1024
	// maxTurnedAway bounds the connections that are open only to say why their callers are
	// refused, and maxTurnedAwayOfOne those of one identity; further ones are closed without a
	// word.
	maxTurnedAway, maxTurnedAwayOfOne = 64, 8
)

// connections holds the open connections, so that they can be closed.
type connections struct {
	mu      sync.Mutex
	list    map[*connection]struct{}
	of      map[string]int
	persons int
	// refuse returns why a connection is not added; nil if it is.
	refuse func(c *connections, who identity.Identity) error
}

// bounded refuses connections beyond the bounds of a gateway.
func bounded(c *connections, who identity.Identity) error {
	most, all, of := maxOfMachine, maxMachines, len(c.list)-c.persons
	kind := fault.Unavailable // a machine tries again
	switch {
	case who.Role.Person():
		most, all, of, kind = maxOfPerson, maxPersons, c.persons, fault.Forbidden
	case who.Role == identity.Control:
		most = maxOfControl
	}
	switch {
	case c.of[who.ID] >= most:
		return fault.New(kind, "%s has %d open connections to this gateway, and may have no more", who, most).
			WithHint("end some of its commands: each that follows something has two")
	case of >= all:
		return fault.New(fault.Unavailable, "the gateway has %d open connections of callers like %s, and accepts no more", all, who)
	}
	return nil
}

// errTooManyTurnedAway is why a connection that is refused is closed without a word.
var errTooManyTurnedAway = errors.New("too many connections are refused at once")

// turnedAway bounds the connections that are refused.
func turnedAway(c *connections, who identity.Identity) error {
	if len(c.list) >= maxTurnedAway || c.of[who.ID] >= maxTurnedAwayOfOne {
		return errTooManyTurnedAway
	}
	return nil
}

// connection is an open connection.
type connection struct {
	conn  *tls.Conn
	who   identity.Identity
	until time.Time
	leaf  *x509.Certificate // nil for none
	// forget removes it from the list.
	forget func()
}

func newConnections(refuse func(*connections, identity.Identity) error) *connections {
	return &connections{list: map[*connection]struct{}{}, of: map[string]int{}, refuse: refuse}
}

// add adds a connection, unless there are too many.
func (c *connections) add(conn *tls.Conn, who caller) (*connection, error) {
	known := &connection{conn: conn, who: who.who}
	if who.leaf != nil {
		known.until, known.leaf = who.leaf.NotAfter, who.leaf
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refuse(c, who.who); err != nil {
		return nil, err
	}
	known.forget = func() { c.remove(known) }
	c.list[known] = struct{}{}
	c.of[known.who.ID]++
	if known.who.Role.Person() {
		c.persons++
	}
	return known, nil
}

// remove removes a connection. It may be called twice.
func (c *connections) remove(known *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.list[known]; !ok {
		return
	}
	delete(c.list, known)
	if known.who.Role.Person() {
		c.persons--
	}
	if c.of[known.who.ID]--; c.of[known.who.ID] == 0 {
		delete(c.of, known.who.ID)
	}
}

// close closes the connections of revoked identities, and those whose certificates have
// ended, and returns how many there were.
func (c *connections) close(isRevoked func(id string) bool, now time.Time) int {
	return c.closeIf(func(known *connection) bool { return isRevoked(known.who.ID) || now.After(known.until) })
}

// closeIf closes the connections for which hasEnded is true, and returns how many there were.
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

// seen returns the identities that have open connections, each once.
func (c *connections) seen() []identity.Seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []identity.Seen
	listed := map[string]bool{}
	for known := range c.list {
		if known.leaf != nil && !listed[known.who.ID] {
			listed[known.who.ID] = true
			list = append(list, seenOf(known.who, known.leaf))
		}
	}
	return list
}

func seenOf(who identity.Identity, leaf *x509.Certificate) identity.Seen {
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return identity.Seen{Identity: who, Key: hex.EncodeToString(sum[:]), Until: leaf.NotAfter}
}

// byRole counts the open connections by role.
func (c *connections) byRole() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[string]int{}
	for known := range c.list {
		counts[string(known.who.Role)]++
	}
	return counts
}

// Close forgets the connection when the server has closed it.
func (s *served) Close() error {
	s.known.forget()
	return s.Conn.Close()
}
