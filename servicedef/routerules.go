package servicedef

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
