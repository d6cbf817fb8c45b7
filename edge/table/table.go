// Package table finds the route of a request. A Table is made from the publications of
// all services; it is immutable, so that requests read it without a lock.
package table

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
)

// HoldTime is how long a request waits while its route is held.
const HoldTime = fleet.HoldTime

// Route is a route of one service.
type Route struct {
	Service string
	fleet.EdgeRoute
	// Index is the position of the route in Routes.
	Index int

	allow []netip.Prefix
}

// Allows reports whether a client may use the route. A network that cannot be parsed
// allows no one.
func (r *Route) Allows(client netip.Addr) bool {
	if len(r.Allow) == 0 {
		return true
	}
	client = client.Unmap().WithZone("")
	return slices.ContainsFunc(r.allow, func(n netip.Prefix) bool { return n.Contains(client) })
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
	routes    []*Route
	conflicts []Conflict
}

// port is what is served on one port.
type port struct {
	http hosts[[]*Route] // of one hostname, longer paths first
	// tcp are the l4 routes by server name; the one of any name is also that of the
	// connections without TLS.
	tcp hosts[*Route]
	udp *Route
}

// hosts maps hostnames to what is served at them.
type hosts[T any] struct {
	exact map[string]T
	wild  map[string]T // by the name below the wildcard: shop.example for *.shop.example
	any   T
	has   bool // any is set
}

// New returns the table of the publications, one for each service.
func New(publications []fleet.Publication) *Table {
	t := &Table{ports: map[int]*port{}}
	newest := slices.SortedFunc(slices.Values(publications), func(a, b fleet.Publication) int {
		return cmp.Or(cmp.Compare(b.Version, a.Version), cmp.Compare(a.Service, b.Service))
	})
	for _, p := range newest {
		for _, r := range p.Routes {
			t.add(&Route{Service: p.Service, EdgeRoute: r, allow: networks(r.Allow)})
		}
	}
	return t
}

func (t *Table) add(r *Route) {
	p := t.ports[r.Endpoint.Port]
	if p == nil {
		p = &port{}
		t.ports[r.Endpoint.Port] = p
	}
	holder := p.place(r)
	switch {
	case holder == nil:
		r.Index = len(t.routes)
		t.routes = append(t.routes, r)
	case holder.Service != r.Service:
		t.conflicts = append(t.conflicts, Conflict{Endpoint: r.Endpoint, Served: holder.Service, Ignored: r.Service})
	}
}

// place adds r, or returns the route that has its endpoint.
func (p *port) place(r *Route) (holder *Route) {
	host := r.Endpoint.Hostname
	switch r.Endpoint.Protocol {
	case fleet.ProtocolUDP:
		if p.udp != nil {
			return p.udp
		}
		p.udp = r
	case fleet.ProtocolTCP:
		if other := p.tcp.at(host); other != nil {
			return other
		}
		p.tcp.set(host, r)
	default:
		routes := p.http.at(host)
		at, found := slices.BinarySearchFunc(routes, r.Endpoint.Path, func(other *Route, path string) int {
			return cmp.Or(cmp.Compare(len(path), len(other.Endpoint.Path)), cmp.Compare(other.Endpoint.Path, path))
		})
		if found {
			return routes[at]
		}
		p.http.set(host, slices.Insert(routes, at, r))
	}
	return nil
}

// networks parses networks in CIDR notation; those that are none are left out.
func networks(texts []string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		if n, err := netip.ParsePrefix(text); err == nil {
			all = append(all, n.Masked())
		}
	}
	return all
}

// at returns what is served at a hostname, in the form that a publication uses.
func (h *hosts[T]) at(host string) T {
	if parent, found := strings.CutPrefix(host, "*."); found {
		return h.wild[parent]
	} else if host == "" {
		return h.any
	}
	return h.exact[host]
}

func (h *hosts[T]) set(host string, to T) {
	switch parent, found := strings.CutPrefix(host, "*."); {
	case found:
		h.wild = with(h.wild, parent, to)
	case host == "":
		h.any, h.has = to, true
	default:
		h.exact = with(h.exact, host, to)
	}
}

func with[T any](m map[string]T, key string, to T) map[string]T {
	if m == nil {
		m = map[string]T{}
	}
	m[key] = to
	return m
}

// Conflicts returns the endpoints that more than one service publishes.
func (t *Table) Conflicts() []Conflict { return t.conflicts }

// Routes returns all routes, in the order of their Index.
func (t *Table) Routes() []*Route { return t.routes }

// How closely the hostname of a route fits that of a request.
const (
	None     = iota // there is no route
	Any             // the route is that of any hostname
	Wildcard        // it is that of a wildcard
	Exact           // it is that of the hostname
)

// HTTP returns the l7 route of a request to a port: that of the hostname, or of its
// wildcard, or of any hostname, and of these the first that has the path. It also
// returns how closely the hostname fits; None, and nil, if there is no route. Host is
// in the form that Hostname returns.
func (t *Table) HTTP(number int, host, path string) (*Route, int) {
	p := t.ports[number]
	if p == nil {
		return nil, None
	}
	if r := match(p.http.exact[host], path); r != nil {
		return r, Exact
	}
	if len(p.http.wild) > 0 {
		if parent, ok := below(host); ok {
			if r := match(p.http.wild[parent], path); r != nil {
				return r, Wildcard
			}
		}
	}
	if r := match(p.http.any, path); r != nil {
		return r, Any
	}
	return nil, None
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

// below returns the hostname without its first label; false if it has only one.
func below(host string) (string, bool) {
	label, parent, found := strings.Cut(host, ".")
	return parent, found && label != "" && parent != ""
}

// TCP returns the l4 route of a connection to a port; serverName is that of its TLS
// handshake, "" without one. It is nil if there is none.
func (t *Table) TCP(number int, serverName string) *Route {
	p := t.ports[number]
	if p == nil {
		return nil
	}
	host := Hostname(serverName)
	if r := p.tcp.exact[host]; r != nil {
		return r
	}
	if parent, ok := below(host); ok {
		if r := p.tcp.wild[parent]; r != nil {
			return r
		}
	}
	return p.tcp.any
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
	// TLS reports whether an l7 route is served with TLS, Plain whether one is without.
	TLS, Plain bool
	// Names are the server names of its tcp routes, sorted; Bare reports whether one of
	// them is that of any name, and of connections without TLS.
	Names []string
	Bare  bool
}

// Ports returns the ports that have routes, in ascending order.
func (t *Table) Ports() []Port {
	var ports []Port
	for _, number := range slices.Sorted(maps.Keys(t.ports)) {
		p := t.ports[number]
		port := Port{Number: number, UDP: p.udp != nil, Bare: p.tcp.has}
		for _, r := range t.routes {
			switch {
			case r.Endpoint.Port != number:
			case r.Endpoint.Protocol == fleet.ProtocolTCP:
				port.TCP = true
				if r.Endpoint.Hostname != "" {
					port.Names = append(port.Names, r.Endpoint.Hostname)
				}
			case r.Endpoint.Protocol != fleet.ProtocolUDP:
				port.HTTP = true
				port.TLS, port.Plain = port.TLS || !r.Plain, port.Plain || r.Plain
			}
		}
		slices.Sort(port.Names)
		ports = append(ports, port)
	}
	return ports
}

// Secure returns the hostnames of the l7 routes that are served with TLS, sorted.
func (t *Table) Secure() []string {
	names := map[string]bool{}
	for _, r := range t.routes {
		if host := r.Endpoint.Hostname; host != "" && r.Endpoint.Protocol == fleet.ProtocolHTTP && !r.Plain {
			names[host] = true
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
