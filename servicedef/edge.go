package servicedef

import (
	"slices"
	"strconv"
	"strings"
)

// The values of Route.Mode.
const (
	modeL4 = "l4"
	modeL7 = "l7"
)

// The protocol of a Place of an l7 route; that of an l4 route is "tcp" or "udp".
const protocolHTTP = "http"

// The ports that browsers use: what is served on plainPort has no TLS, and what is
// served on securePort has.
const (
	plainPort  = 80
	securePort = 443
)

// AtEdges reports whether edges serve the route.
func (r Route) AtEdges() bool { return r.Edge || len(r.Hostname) > 0 }

// Plain reports whether edges serve the route as http without TLS.
func (r Route) Plain() bool {
	return r.Mode == modeL7 && (r.Port == plainPort || r.TLS != nil && !*r.TLS)
}

// Place is where clients reach a route at an edge.
type Place struct {
	Port int
	// Protocol is "http", "tcp" or "udp".
	Protocol string
	// Hostname is in lower case; "" for any. Path does not end with a slash.
	Hostname, Path string
	// RedirectTo is the hostname to which requests are redirected; "" for none.
	RedirectTo string
}

// Places returns where clients reach the route at edges: under each of its hostnames,
// and then under those that redirect to it. There are none if edges do not serve it.
func (r Route) Places() []Place {
	if !r.AtEdges() {
		return nil
	}
	at := Place{Port: r.Port, Protocol: tcp}
	switch {
	case r.Mode == modeL7:
		at.Protocol, at.Path = protocolHTTP, strings.TrimSuffix(r.Path, "/")
	case r.Protocol == udp:
		at.Protocol = udp
	}
	if len(r.Hostname) == 0 {
		return []Place{at}
	}
	var all []Place
	for _, hostname := range r.Hostname {
		at.Hostname = strings.ToLower(hostname)
		all = append(all, at)
	}
	at.RedirectTo = all[0].Hostname
	for _, hostname := range r.RedirectFrom {
		at.Hostname = strings.ToLower(hostname)
		all = append(all, at)
	}
	return all
}

// String returns "shop.example:443/api", ":5432/tcp".
func (p Place) String() string {
	text := p.Hostname + ":" + strconv.Itoa(p.Port)
	if p.Protocol != protocolHTTP {
		return text + "/" + p.Protocol
	}
	return text + p.Path
}

// Collides reports whether a client that reaches one of two places would reach the
// other: they are the same, or their connections cannot be distinguished.
func (p Place) Collides(other Place) bool {
	switch {
	case p.Port != other.Port || p.Hostname != other.Hostname:
		return false
	case p.Protocol == other.Protocol:
		return p.Path == other.Path
	}
	return p.Protocol != udp && other.Protocol != udp
}

// AtEdges reports whether edges serve a route of the service.
func (s Service) AtEdges() bool {
	return slices.ContainsFunc(s.Components, func(c Component) bool { return slices.ContainsFunc(c.Routes, Route.AtEdges) })
}
