package servicedef

import (
	"maps"
	"slices"
	"strings"
)

// routes checks a component's routes. No two names give the same $PORT_<NAME>,
// because a DNS label has no underscore.
func (r *report) routes(key string, c Component) {
	names := make([]string, len(c.Routes))
	for i, route := range c.Routes {
		names[i] = route.Name
	}
	r.unique(names, func(i int) string { return joinKey(elementKey(key, i), "name") })
	for i, route := range c.Routes {
		at := func(name string) string { return joinKey(elementKey(key, i), name) }
		r.label(at("name"), route.Name)
		if route.Port < minPort || route.Port > maxPort {
			r.add(at("port"), "must be between %d and %d", minPort, maxPort)
		}
		if route.Mode != modeL4 && route.Mode != modeL7 {
			r.add(at("mode"), `must be "l4" or "l7", not %q`, route.Mode)
		}
		r.edgeRoute(elementKey(key, i), route)
		switch {
		case route.ContainerPort < 0 || route.ContainerPort > maxPort:
			r.add(at("container_port"), "must be between 1 and %d, or 0 for a container that listens on $PORT", maxPort)
		case route.ContainerPort != 0 && c.Network == networkHost:
			r.add(at("container_port"), "cannot be mapped to a host port with host networking: the container must listen on $%s", PortEnv(route.Name))
		}
	}
}

// env checks the names of variables, which may have any character but "=" and NUL,
// their lengths, and that none is a variable that mcp sets for a route.
func (r *report) env(key string, c Component, env map[string]string) {
	ports := map[string]string{}
	for _, route := range c.Routes {
		ports[PortEnv(route.Name)] = route.Name
	}
	if len(c.Routes) == 1 {
		ports["PORT"] = c.Routes[0].Name
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if route, taken := ports[name]; taken {
			r.add(joinKey(key, name), "is set by mcp, to the port of route %s", route)
		} else if name == "" || strings.ContainsAny(name, "=\x00") {
			r.add(joinKey(key, name), `must be the name of a variable, without "=" and NUL`)
		} else {
			r.argument(joinKey(key, name), name+"="+env[name])
			if _, err := ParseEnvValue(env[name]); err != nil {
				r.add(joinKey(key, name), "%v", err)
			}
		}
	}
}

// PortEnv returns the environment variable that holds the port of a route:
// "PORT_REST" for "rest".
func PortEnv(route string) string {
	return "PORT_" + strings.ToUpper(strings.ReplaceAll(route, "-", "_"))
}
