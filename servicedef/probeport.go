package servicedef

import (
	"strconv"
	"strings"
)

// ProbePort names what a health check connects to: a route of the component, or a port of
// the container, which is written as a number. "" is the first route, or else the first
// port.
type ProbePort string

func (p *ProbePort) wanted() string { return "the name of a route or a port of the container" }

func (p *ProbePort) decodeTOML(r *report, key string, value any) {
	switch value := value.(type) {
	case string:
		r.refuseNUL(key, value)
		*p = ProbePort(value)
	case int64:
		*p = ProbePort(strconv.FormatInt(value, 10))
	default:
		r.reject(key, "must be %s, not %s", p.wanted(), found(value))
	}
}

// Is reports whether p means a route of that name, "" for a port, at which the container
// listens on a port.
func (p ProbePort) Is(route string, port int) bool {
	return p == "" || route == string(p) || strconv.Itoa(port) == string(p)
}

// probeRoute is the first route that a health check over HTTP may connect to.
func (c *Component) probeRoute() (Route, bool) {
	for _, route := range c.Routes {
		if route.probed() && c.Health.Port.Is(route.Name, route.ContainerPort) {
			return route, true
		}
	}
	return Route{}, false
}

// probePort checks that a health check has what it is to connect to.
func (r *report) probePort(key string, c Component) {
	h := c.Health
	if h.HTTP == "" && !h.TCP {
		r.add(key, "is for a health check over http or tcp: without these each route and port is checked")
		return
	}
	if _, found := c.probeRoute(); found {
		return
	}
	var known []string
	for _, route := range c.Routes {
		if !route.probed() {
			if h.Port.Is(route.Name, route.ContainerPort) {
				r.add(key, "%q is of udp: whether it is open shows in no answer", string(h.Port))
				return
			}
			continue
		}
		known = append(known, route.Name)
		if route.ContainerPort != 0 {
			known = append(known, strconv.Itoa(route.ContainerPort))
		}
	}
	for _, port := range c.StaticPorts() {
		if port.Protocol != tcp {
			continue
		}
		if h.Port.Is("", port.Container) {
			return
		}
		known = append(known, strconv.Itoa(port.Container))
	}
	r.add(key, "the component has no route and no port of tcp %q in the container: it has %s", string(h.Port), strings.Join(known, ", "))
}
