package servicedef

import (
	"maps"
	"slices"
	"strings"

	"github.com/metacircular/mcp/servicedef/names"
)

// networkBridge is the value of Component.Network that stands for the network of the
// service alone, as no value does.
const networkBridge = "bridge"

// servicePrefix begins the names of the networks that mcp makes.
const servicePrefix = "mcp-"

// ServiceNetwork returns the name of the network that mcp makes for a service on each of
// its nodes.
func ServiceNetwork(service string) string { return servicePrefix + service }

// OnServiceNetwork reports whether the component's container is connected to the network
// of its service. One on the host's network or without a network is not.
func (c Component) OnServiceNetwork() bool {
	return c.Network != networkHost && c.Network != networkNone
}

// Joined returns the networks that the definition names beside that of the service, by
// their names. They exist on the node already.
func (c Component) Joined() Networks {
	var all Networks
	if c.OnServiceNetwork() && c.Network != "" && c.Network != networkBridge {
		all = append(all, NetworkRef{Name: c.Network})
	}
	return append(all, c.Networks...)
}

// joined checks the networks that a component names.
func (r *report) joined(key string, c Component) {
	at := joinKey(key, "networks")
	switch {
	case len(c.Networks) == 0:
	case c.Network == networkHost || c.Network == networkNone:
		r.add(at, "must be empty with network = %q", c.Network)
	}
	seen := map[string]bool{}
	for i, network := range c.Joined() {
		from := elementKey(at, i)
		if len(c.Networks) < len(c.Joined()) {
			if from = joinKey(key, "network"); i > 0 {
				from = elementKey(at, i-1)
			}
		}
		switch {
		case !names.IsObject(network.Name) && from == joinKey(key, "network"): // reported already
		case !names.IsObject(network.Name):
			r.add(from, "must be the name of a network, not %q", network.Name)
		case network.Name == networkHost || network.Name == networkNone || network.Name == networkBridge:
			r.add(from, "must be the name of a network; %q is a value of network", network.Name)
		case strings.HasPrefix(network.Name, servicePrefix):
			r.add(from, "names that begin with %q are those of the networks that mcp makes, one for each service, and a component is on that of its service already: use another name, and podman network create, for a network of several services", servicePrefix)
		case seen[network.Name]:
			r.add(from, "network %s is named already", network.Name)
		}
		seen[network.Name] = true
		for _, alias := range network.Aliases {
			r.hostname(joinKey(from, "aliases"), alias)
		}
	}
}

// names checks that no variable or argument names a component by a name that does not
// resolve: names resolve to components of the same node.
func (r *report) names(s *Service) {
	owner := map[string]Component{}
	for _, c := range s.Components {
		owner[ContainerNameFor(s.Name, c.Name)] = c
	}
	for _, c := range s.Components {
		owner[c.Name] = c
	}
	check := func(key string, from Component, hosts []string) {
		for _, host := range hosts {
			switch other, found := owner[host]; {
			case !found || other.Name == from.Name:
			case other.Node != from.Node:
				r.add(key, "names component %s, which is on node %s and not on %s: names lead to components of the same node. "+
					"Put both on one node, or give %s a route with a hostname, and use that", other.Name, other.Node, from.Node, other.Name)
			case !other.OnServiceNetwork():
				r.add(key, "names component %s, which has no name, because its network is %q", other.Name, other.Network)
			}
		}
	}
	asks := func(key string, env map[string]string, from Component) {
		for _, variable := range slices.Sorted(maps.Keys(env)) {
			check(joinKey(joinKey(key, "env"), variable), from, hostsIn(variable, env[variable]))
		}
	}
	for i, c := range s.Components {
		key := elementKey("components", i)
		asks(key, c.Env, c)
		for n, argument := range c.Entrypoint {
			check(elementKey(joinKey(key, "entrypoint"), n), c, hostsIn("", argument))
		}
		for n, argument := range c.Cmd {
			check(elementKey(joinKey(key, "cmd"), n), c, hostsIn("", argument))
		}
	}
	for i, step := range s.Steps {
		key, from := elementKey(KeySteps, i), s.StepComponent(step)
		asks(key, step.Env, from)
		if like, _ := s.Component(step.Component); step.Node != "" && step.Node != like.Node {
			for _, variable := range slices.Sorted(maps.Keys(from.Env)) {
				if _, own := step.Env[variable]; !own {
					check(joinKey(key, "node"), from, hostsIn(variable, from.Env[variable]))
				}
			}
		}
		for n, argument := range step.Cmd {
			check(elementKey(joinKey(key, "cmd"), n), from, hostsIn("", argument))
		}
	}
}

// hostsIn returns the hosts that the value of a variable certainly names: that of a URL,
// and the whole value, or what precedes its port, of a variable that is called HOST, or
// ends with _HOST, _HOSTNAME, _ADDR or _ADDRESS.
func hostsIn(variable, value string) []string {
	var hosts []string
	for rest := value; ; {
		_, after, found := strings.Cut(rest, "://")
		if !found {
			break
		}
		authority := after[:cutAt(after, "/?# ,\t\n")]
		authority = authority[strings.LastIndexByte(authority, '@')+1:]
		hosts = append(hosts, authority[:cutAt(authority, ":")])
		rest = after
	}
	name := strings.ToUpper(variable)
	for _, suffix := range []string{"HOST", "_HOSTNAME", "_ADDR", "_ADDRESS"} {
		if strings.HasSuffix(name, suffix) && (suffix != "HOST" || name == suffix || strings.HasSuffix(name, "_"+suffix)) {
			return append(hosts, value[:cutAt(value, ":")])
		}
	}
	return hosts
}

// cutAt returns the index of the first of the characters in a text, or its length.
func cutAt(text, characters string) int {
	if i := strings.IndexAny(text, characters); i >= 0 {
		return i
	}
	return len(text)
}
