package fleet

import (
	"strconv"
	"strings"
)

// URL returns where clients reach the route: "https://shop.example/api",
// "tcp://db.example:5432". Ports are those of an edge: it maps a route's port to the one
// on which the edge listens, if that is another one. A route without a hostname has a
// URL without one, "tcp://:5432", and that of a wildcard has "*" for its first label.
func (r EdgeRoute) URL(ports map[int]int) string { return r.Endpoint.URL(r.Plain, ports) }

// URL returns where clients reach the endpoint, as EdgeRoute.URL does. Plain is set for
// an http endpoint without TLS.
func (e Endpoint) URL(plain bool, ports map[int]int) string {
	port := e.Port
	if mapped := ports[port]; mapped != 0 {
		port = mapped
	}
	scheme, usual := e.Protocol, 0
	switch {
	case e.Protocol != ProtocolHTTP:
	case plain:
		usual = 80
	default:
		scheme, usual = "https", 443
	}
	host := e.Hostname
	if port != usual || host == "" {
		host += ":" + strconv.Itoa(port) // a hostname has no colon
	}
	return scheme + "://" + host + strings.TrimSuffix(e.Path, "/")
}
