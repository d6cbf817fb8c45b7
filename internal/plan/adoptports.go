package plan

import (
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// publishedAs makes a component's ports and routes those that its container
// publishes, and returns the routes with their host ports. On the host's own
// network nothing is published: a route is then where the image listens.
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
		routes = append(routes, fleet.Route{Name: r.Name, Port: r.Port, Mode: r.Mode, Hostname: r.Hostname, HostPort: port})
	}
	c.Routes = defined
	for _, p := range left {
		c.Ports = append(c.Ports, p.String())
	}
	slices.SortFunc(routes, func(a, b fleet.Route) int { return strings.Compare(a.Name, b.Name) })
	return routes
}

// staticPorts are those of a definition's ports that a container publishes, and
// what else it publishes.
func staticPorts(texts []string, published []servicedef.Port) (kept []string, left []servicedef.Port) {
	left = published
	for _, text := range texts {
		ports, _ := servicedef.ParsePorts([]string{text}) // its mistakes were told when it was read
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
// listens on. What listens on $PORT has the same port on both sides; it is told
// from others only where it is alone.
func routed(r servicedef.Route, routes []servicedef.Route, published []servicedef.Port) int {
	matches := func(p servicedef.Port) bool {
		if r.ContainerPort == 0 {
			return p.Protocol == "tcp" && p.Host == p.Container
		}
		return p.Protocol == "tcp" && p.Container == r.ContainerPort
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

// held are the host ports that a container holds, each once.
func held(published []servicedef.Port, routes []fleet.Route) []fleet.StaticPort {
	var ports []fleet.StaticPort
	add := func(p fleet.StaticPort) {
		if !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	for _, p := range published {
		add(fleet.StaticPort{Protocol: p.Protocol, HostPort: p.Host})
	}
	for _, r := range routes {
		add(fleet.StaticPort{Protocol: "tcp", HostPort: r.HostPort})
	}
	return ports
}
