package adoption

import (
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// publishedAs makes a component's ports and routes those that its container
// publishes, and returns the routes with their host ports. On the host's own
// network nothing is published: a route's port is then the one that the image
// listens on.
func publishedAs(c *servicedef.Component, published []servicedef.Port) []fleet.Route {
	onHost := c.Network == "host" && len(published) == 0
	left := slices.Clone(published)
	if !onHost {
		c.Ports, left = staticPorts(c.Ports, left)
	}
	var routes []fleet.Route
	var defined []servicedef.Route
	for _, r := range c.Routes {
		port := r.ContainerPort
		if !onHost {
			i := routed(r, c.Routes, left)
			if i < 0 {
				continue
			}
			port = left[i].Host
			left = slices.Delete(left, i, i+1)
		}
		if port == 0 {
			continue
		}
		defined = append(defined, r)
		routes = append(routes, fleet.NewRoute(r, port))
	}
	c.Routes = defined
	for _, p := range left {
		c.Ports = append(c.Ports, p.String())
	}
	slices.SortFunc(routes, func(a, b fleet.Route) int { return strings.Compare(a.Name, b.Name) })
	return routes
}

// staticPorts splits what a container publishes into those of the definition's ports
// that are among it, and the rest.
func staticPorts(texts []string, published []servicedef.Port) (kept []string, left []servicedef.Port) {
	left = published
	for _, text := range texts {
		ports, _ := servicedef.ParsePorts([]string{text}) // Parse has refused what is not well formed
		rest := slices.Clone(left)
		all := len(ports) > 0
		for _, p := range ports {
			i := slices.IndexFunc(rest, p.Same)
			if all = i >= 0; !all {
				break
			}
			rest = slices.Delete(rest, i, i+1)
		}
		if all {
			kept, left = append(kept, text), rest
		}
	}
	return kept, left
}

// routed finds the port that is a route's: the one to the port that its image
// listens on. A container that listens on $PORT has the same port on both sides,
// which is recognised only if no other port has that too.
func routed(r servicedef.Route, routes []servicedef.Route, published []servicedef.Port) int {
	matches := func(p servicedef.Port) bool {
		if r.ContainerPort == 0 {
			return p.Protocol == r.Transport() && p.Host == p.Container
		}
		return p.Protocol == r.Transport() && p.Container == r.ContainerPort
	}
	i := slices.IndexFunc(published, matches)
	if r.ContainerPort != 0 || i < 0 {
		return i
	}
	others := slices.ContainsFunc(published[i+1:], matches)
	siblings := slices.ContainsFunc(routes, func(o servicedef.Route) bool { return o.Name != r.Name && o.ContainerPort == 0 })
	if others || siblings {
		return -1
	}
	return i
}

// held returns the host ports that a container holds, each once.
func held(published []servicedef.Port, routes []fleet.Route) []servicedef.Port {
	var ports []servicedef.Port
	add := func(p servicedef.Port) {
		if !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	for _, p := range published {
		add(servicedef.Port{Protocol: p.Protocol, Host: p.Host})
	}
	for _, r := range routes {
		add(servicedef.Port{Protocol: r.Transport(), Host: r.HostPort})
	}
	return ports
}
