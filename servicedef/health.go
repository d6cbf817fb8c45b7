package servicedef

import (
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ProbeHost returns the Host header of health requests over HTTP, for programs that
// answer to their own name alone; "" if the definition has none.
func (c Component) ProbeHost() string {
	if c.Health.Host != "" {
		return c.Health.Host
	}
	if route, found := c.probeRoute(); found {
		return route.Hostname.plain()
	}
	return ""
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

// hostHeader checks a Host header: a name or an address, and perhaps a port.
func (r *report) hostHeader(key string, h Health) {
	if h.HTTP == "" {
		r.add(key, "is for a health check over http")
	}
	name, port, err := net.SplitHostPort(h.Host)
	if err != nil {
		name = h.Host
	} else if n, err := strconv.Atoi(port); err != nil || n < minPort || n > maxPort {
		r.add(key, "%q: its port must be between %d and %d", h.Host, minPort, maxPort)
	}
	if net.ParseIP(strings.Trim(name, "[]")) == nil {
		r.hostname(key, name)
	}
}

// headerName matches the name of a header of HTTP, a token of RFC 9110, 5.6.2.
var headerName = pattern("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// healthAnswer checks what HTTP requests send besides the path, and what they expect.
func (r *report) healthAnswer(key string, h Health) {
	if h.HTTP == "" && len(h.Headers) > 0 {
		r.add(joinKey(key, "headers"), "is for a health check over http")
	}
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		at, value := joinKey(joinKey(key, "headers"), name), h.Headers[name]
		switch {
		case !headerName().MatchString(name):
			r.add(at, "must be the name of a header, not %q", name)
		case strings.EqualFold(name, "Host"):
			r.add(at, "is set by host of the health check")
		case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
			r.add(at, "must not contain control characters")
		}
	}
	if h.HTTP == "" && len(h.Status) > 0 {
		r.add(joinKey(key, "status"), "is for a health check over http")
	}
	for _, status := range h.Status {
		if status < 200 || status > 599 {
			r.add(joinKey(key, "status"), "must be codes from 200 to 599, unlike %d", status)
		}
	}
}

// health checks that there is at most one kind of probe, and an address to probe.
func (r *report) health(key string, c Component) {
	h := c.Health
	at := func(name string) string { return joinKey(key, name) }
	var kinds []string
	if h.HTTP != "" {
		kinds = append(kinds, "http")
	}
	if h.TCP {
		kinds = append(kinds, "tcp")
	}
	if len(h.Cmd) > 0 {
		kinds = append(kinds, "cmd")
	}
	if len(kinds) > 1 {
		r.add(at(kinds[1]), "excludes %s: a health check is one of http, tcp and cmd", kinds[0])
	}
	if _, err := url.ParseRequestURI(h.HTTP); h.HTTP != "" && (err != nil || h.HTTP[0] != '/') {
		r.add(at("http"), "must be a path that begins with /, not %q", h.HTTP)
	}
	if len(kinds) > 0 && kinds[0] != "cmd" && !c.reachable() {
		r.add(at(kinds[0]), "needs a route or a port to probe, of tcp")
	}
	if h.Port != "" && c.reachable() {
		r.probePort(at("port"), c)
	}
	if h.Host != "" {
		r.hostHeader(at("host"), h)
	}
	r.healthAnswer(key, h)
	if h.MinHealthy < 0 {
		r.add(at("min_healthy"), "must not be negative")
	}
	positive := map[string]int64{
		"interval": int64(h.Interval), "timeout": int64(h.Timeout),
		"start_period": int64(h.StartPeriod), "retries": int64(h.Retries),
	}
	for _, name := range slices.Sorted(maps.Keys(positive)) {
		if positive[name] <= 0 {
			r.add(at(name), "must be positive")
		}
	}
}

// probePort checks that what a health check connects to exists.
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
