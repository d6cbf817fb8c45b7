package server

import (
	"strings"

	"github.com/metacircular/mcp/edge/table"
	"github.com/metacircular/mcp/internal/fleet"
)

// view is what a table means for those who listen. It is immutable.
type view struct {
	ports map[int]*portView
	// secure are the hostnames that are served with TLS.
	secure map[string]bool
	// anonymous reports whether a route with TLS has no hostname.
	anonymous bool
}

// portView is what is served on one port.
type portView struct {
	http, tls, plain bool
	hosts            map[string]bool // of l7 routes; "" for any
	tcp              map[string]bool // server names of tcp routes; "" for any
	udp              bool
}

func newView(routes []*table.Route) *view {
	v := &view{ports: map[int]*portView{}, secure: map[string]bool{}}
	for _, r := range routes {
		p := v.port(r.Endpoint.Port)
		host := r.Endpoint.Hostname
		switch r.Endpoint.Protocol {
		case fleet.ProtocolTCP:
			p.tcp[host] = true
		case fleet.ProtocolUDP:
			p.udp = true
		default:
			p.http, p.hosts[host] = true, true
			p.tls, p.plain = p.tls || !r.Plain, p.plain || r.Plain
			if !r.Plain && host != "" {
				v.secure[host] = true
			}
			v.anonymous = v.anonymous || !r.Plain && host == ""
		}
	}
	return v
}

func (v *view) port(number int) *portView {
	if v.ports[number] == nil {
		v.ports[number] = &portView{hosts: map[string]bool{}, tcp: map[string]bool{}}
	}
	return v.ports[number]
}

// challenged adds port 80 if a route needs it: for the redirect to https, and for
// HTTP-01.
func (v *view) challenged(acme bool) {
	if p := v.ports[443]; p != nil && p.tls || acme && len(v.secure) > 0 {
		v.port(80).http = true
	}
}

// How closely a route's hostname fits that of a client.
const (
	fitsNot = iota
	fitsAny
	fitsWildcard
	fitsExactly
)

func fit(names map[string]bool, name string) int {
	switch {
	case name != "" && names[name]:
		return fitsExactly
	case names[wildcard(name)]:
		return fitsWildcard
	case names[""]:
		return fitsAny
	}
	return fitsNot
}

// wildcard returns the wildcard that stands for a hostname; "*" if it has one label.
func wildcard(name string) string {
	_, parent, found := strings.Cut(name, ".")
	if !found {
		return "*"
	}
	return "*." + parent
}

// passes reports whether a TLS connection with a server name is for a tcp route. The
// closer hostname wins; a tcp route of any name gets what no hostname claims.
func (p *portView) passes(name string) bool {
	tcp, http := fit(p.tcp, name), fit(p.hosts, name)
	return tcp > http || tcp == http && tcp > fitsAny || !p.http && tcp > fitsNot
}

// bare reports whether a connection without TLS is for a tcp route.
func (p *portView) bare() bool { return p.tcp[""] && !p.plain }

// waits reports whether a connection need not be read to know what it is for.
func (p *portView) waits() bool { return !p.http && p.tcp[""] && len(p.tcp) == 1 }

// claims reports whether a handshake with a server name may be answered.
func (v *view) claims(name string) bool {
	return fit(v.secure, name) > fitsNot || v.anonymous
}
