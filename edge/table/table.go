// Package table finds the route of a request. A Table is made from the publications of
// all services; it is immutable, so that requests read it without a lock.
package table

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
)

// Route is a route of one service.
type Route struct {
	Service string
	fleet.EdgeRoute
}

// Conflict is an endpoint that two services publish. The registry lets only one claim
// an endpoint, so it arises only while the edge has publications of different ages.
type Conflict struct {
	Endpoint fleet.Endpoint
	Served   string // the service whose publication is newer
	Ignored  string
}

// Table maps endpoints to routes. The zero Table has none.
type Table struct {
	ports     map[int]*port
	conflicts []Conflict
}

// port is what is served on one port.
type port struct {
	// http are the l7 routes by hostname; longer paths first.
	http map[string][]*Route
	// tcp are the l4 routes by server name; "" is the route of every connection that
	// has none, or no TLS.
	tcp map[string]*Route
	udp *Route
}

// New returns the table of the publications, one for each service.
func New(publications []fleet.Publication) *Table {
	t := &Table{ports: map[int]*port{}}
	newest := slices.SortedFunc(slices.Values(publications), func(a, b fleet.Publication) int {
		return cmp.Or(cmp.Compare(b.Version, a.Version), cmp.Compare(a.Service, b.Service))
	})
	for _, p := range newest {
		for _, r := range p.Routes {
			t.add(&Route{Service: p.Service, EdgeRoute: r})
		}
	}
	for _, p := range t.ports {
		for _, routes := range p.http {
			slices.SortFunc(routes, func(a, b *Route) int {
				return cmp.Compare(len(b.Endpoint.Path), len(a.Endpoint.Path))
			})
		}
	}
	return t
}

func (t *Table) add(r *Route) {
	p := t.ports[r.Endpoint.Port]
	if p == nil {
		p = &port{http: map[string][]*Route{}, tcp: map[string]*Route{}}
		t.ports[r.Endpoint.Port] = p
	}
	if holder := p.place(r); holder != nil && holder.Service != r.Service {
		t.conflicts = append(t.conflicts, Conflict{Endpoint: r.Endpoint, Served: holder.Service, Ignored: r.Service})
	}
}

// place adds r, or returns the route that has its endpoint.
func (p *port) place(r *Route) (holder *Route) {
	host := r.Endpoint.Hostname
	switch {
	case r.Endpoint.Protocol == fleet.ProtocolHTTP:
		for _, other := range p.http[host] {
			if other.Endpoint.Path == r.Endpoint.Path {
				return other
			}
		}
		p.http[host] = append(p.http[host], r)
	case r.Endpoint.Protocol == fleet.ProtocolUDP:
		if p.udp != nil {
			return p.udp
		}
		p.udp = r
	default:
		if other := p.tcp[host]; other != nil {
			return other
		}
		p.tcp[host] = r
	}
	return nil
}

// Conflicts returns the endpoints that more than one service publishes.
func (t *Table) Conflicts() []Conflict { return t.conflicts }

// HTTP returns the l7 route of a request to a port: that of the hostname, or of its
// wildcard, or of no hostname, and of these the first that has the path; nil if there
// is none. Host is as in a request: in any case, with or without a port.
func (t *Table) HTTP(number int, host, path string) *Route {
	p := t.ports[number]
	if p == nil {
		return nil
	}
	host = Hostname(host)
	if r := match(p.http[host], path); r != nil {
		return r
	}
	if r := match(p.http[Wildcard(host)], path); r != nil {
		return r
	}
	return match(p.http[""], path)
}

// match returns the route with the longest path that is a prefix of path.
func match(routes []*Route, path string) *Route {
	for _, r := range routes {
		if under(r.Endpoint.Path, path) {
			return r
		}
	}
	return nil
}

// under reports whether path is prefix, or below it.
func under(prefix, path string) bool {
	rest, found := strings.CutPrefix(path, prefix)
	return found && (prefix == "" || rest == "" || rest[0] == '/')
}

// TCP returns the l4 route of a connection to a port; serverName is that of its TLS
// handshake, "" without one. It is nil if there is none.
func (t *Table) TCP(number int, serverName string) *Route {
	p := t.ports[number]
	if p == nil {
		return nil
	}
	host := Hostname(serverName)
	return cmp.Or(p.tcp[host], p.tcp[Wildcard(host)], p.tcp[""])
}

// UDP returns the route of the packets to a port, or nil.
func (t *Table) UDP(number int) *Route {
	if p := t.ports[number]; p != nil {
		return p.udp
	}
	return nil
}

// Port is what an edge listens for on a port.
type Port struct {
	Number int
	// HTTP, TCP and UDP report which routes it has: l7, and l4 of each protocol.
	HTTP, TCP, UDP bool
}

// Ports returns the ports that have routes, in ascending order.
func (t *Table) Ports() []Port {
	var ports []Port
	for _, number := range slices.Sorted(maps.Keys(t.ports)) {
		p := t.ports[number]
		ports = append(ports, Port{Number: number, HTTP: len(p.http) > 0, TCP: len(p.tcp) > 0, UDP: p.udp != nil})
	}
	return ports
}

// Secure returns the hostnames of the l7 routes that are served with TLS, sorted.
func (t *Table) Secure() []string {
	names := map[string]bool{}
	for _, p := range t.ports {
		for host, routes := range p.http {
			if host != "" && slices.ContainsFunc(routes, func(r *Route) bool { return !r.Plain }) {
				names[host] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Hostname returns the form that a Table uses for the host of a request: in lower
// case, without port and final dot.
func Hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// Wildcard returns the wildcard that stands for a hostname; one that stands for
// nothing if the hostname has one label.
func Wildcard(host string) string {
	_, parent, _ := strings.Cut(host, ".")
	return "*." + parent
}
