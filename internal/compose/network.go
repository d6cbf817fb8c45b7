package compose

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/compose/source"
	"github.com/metacircular/mcp/servicedef"
)

// port is a published port in either notation. host is "" where the engine chooses it.
type port struct{ ip, host, container, protocol, name string }

func (c *component) ports() {
	for i, item := range itemsOf(c.node.Get("ports")) {
		at := "ports[" + strconv.Itoa(i) + "]"
		p, err := readPort(item)
		switch {
		case err != nil:
			c.note(item, at, "is not taken over: %v", err)
		case p.host == "":
			c.chosenPorts(p, item, at)
		case strings.Contains(p.host, "-") && !strings.Contains(p.container, "-"):
			c.note(item, at, "is not taken over: a range of host ports for one port; leave the host port out, and mcp chooses it")
		default:
			c.add("ports", p.String(), item, at)
		}
	}
}

func readPort(item *source.Node) (port, error) {
	if item.Kind == source.Map {
		p := port{
			ip: text(item.Get("host_ip")), host: text(item.Get("published")), container: text(item.Get("target")),
			protocol: text(item.Get("protocol")), name: text(item.Get("name")),
		}
		if p.container == "" {
			return p, errors.New("it has no target")
		}
		return p, nil
	}
	whole, protocol, _ := strings.Cut(item.Text, "/")
	p := port{protocol: protocol}
	i := strings.LastIndexByte(whole, ':')
	if p.container = whole[i+1:]; i < 0 {
		return p, nil
	}
	whole = whole[:i]
	i = strings.LastIndexByte(whole, ':')
	if p.host = whole[i+1:]; i >= 0 {
		p.ip = strings.Trim(whole[:i], "[]")
		if net.ParseIP(p.ip) == nil {
			return p, fmt.Errorf("%q is no IP address", p.ip)
		}
	}
	return p, nil
}

// String returns the port in the form of a definition.
func (p port) String() string {
	whole := p.host + ":" + p.container
	if p.ip != "" {
		whole = net.JoinHostPort(p.ip, p.host) + ":" + p.container
	}
	if p.protocol != "" && p.protocol != "tcp" {
		whole += "/" + p.protocol
	}
	return whole
}

// chosenPorts makes routes of ports whose host ports are not chosen.
func (c *component) chosenPorts(p port, item *source.Node, at string) {
	first, last, ranged := strings.Cut(p.container, "-")
	from, err := strconv.Atoi(first)
	to := from
	if ranged && err == nil {
		to, err = strconv.Atoi(last)
	}
	if err != nil || from < 1 || to < from || to-from > 100 {
		c.note(item, at, "is not taken over: %q is no port", p.container)
		return
	}
	for number := from; number <= to; number++ {
		name := label(p.name)
		if name == "" || to > from {
			name = "port-" + strconv.Itoa(number)
		}
		route := map[string]any{"name": name, "port": int64(number), "container_port": int64(number)}
		if p.protocol == "udp" {
			route["protocol"] = "udp"
			if p.name == "" {
				route["name"] = "udp-" + strconv.Itoa(number)
			}
		}
		c.add("routes", route, item, at)
	}
}

// networks takes over external networks. The components of a service find one another by
// name without a network of their own.
func (c *component) networks() {
	switch mode := c.node.Get("network_mode"); {
	case mode.Empty():
	case strings.Contains(mode.Text, ":"):
		c.note(mode, "network_mode", "is not taken over: a component has a network namespace of its own")
	default:
		c.set("network", mode.Text, mode, "network_mode")
	}
	networks := c.node.Get("networks")
	var external []string
	aliases := map[string]any{} // of external networks
	for _, name := range keysOf(networks) {
		n := networks.Get(name)
		declared := c.im.project.Root.Get("networks").Get(name)
		known := c.im.objectName(declared, name)
		outside := declared.Get("external")
		isExternal := truth(outside) || outside != nil && outside.Kind == source.Map
		if isExternal {
			external = append(external, known)
		} else if isolating := declared.Get("internal"); truth(isolating) {
			c.im.note(isolating.Take(), "networks."+name+".internal", "is not taken over: components reach the outside")
		}
		for i, alias := range itemsOf(n.Get("aliases")) {
			if label(alias.Text) == c.name {
				alias.Take()
				continue
			}
			if isExternal {
				entry, _ := aliases[known].(map[string]any)
				names, _ := entry["aliases"].([]string)
				aliases[known] = map[string]any{"aliases": append(names, alias.Take().Text)}
				continue
			}
			c.note(alias, fmt.Sprintf("networks.%s.aliases[%d]", name, i), "is not taken over: the others find it as %s and %s",
				c.name, servicedef.ContainerNameFor(c.im.name, c.name))
		}
		n.Get("priority").Take()
		if n.Empty() || len(n.Keys) == 0 {
			n.Take()
		}
		if driver := declared.Get("driver"); text(driver) == "bridge" {
			driver.Take()
		}
		for _, quiet := range []string{"labels", "attachable", "internal"} {
			declared.Get(quiet).Take()
		}
	}
	switch {
	case len(aliases) > 0:
		for _, name := range external {
			if aliases[name] == nil {
				aliases[name] = map[string]any{}
			}
		}
		c.set("networks", aliases, networks, "networks")
	case len(external) == 1:
		c.set("network", external[0], networks, "networks")
	case len(external) > 1:
		c.set("networks", external, networks, "networks")
	}
}

// dependencies takes over what must be healthy first.
func (c *component) dependencies() {
	depends := c.node.Get("depends_on")
	for _, name := range keysOf(depends) {
		n, at := depends.Get(name), "depends_on."+name
		if truth(n.Get("restart")) {
			c.im.note(n.Get("restart").Take(), c.key+"."+at+".restart", "is not taken over: mcp restarts no component with another")
		}
		n.Get("restart").Take()
		n.Get("required").Take()
		other := c.im.component(name)
		switch condition := n.Get("condition"); {
		case other == nil:
			c.note(n, at, "is not taken over: the service is not there")
			continue
		case text(condition) == "service_completed_successfully":
			c.im.note(condition.Take(), c.key+"."+at, "waits until %s runs, not until it has ended: a program that runs once before the others is a step, [[steps]]", other.name)
			other.runsOnce(condition)
		default:
			condition.Take()
		}
		c.add("depends_on", other.name, n, at)
	}
	depends.Take()
}

// runsOnce is for a component that ends by itself.
func (c *component) runsOnce(from *source.Node) {
	if _, given := c.fields["restart"]; !given && c.node.Get("restart").Empty() {
		c.fields["restart"] = field{"no", from, c.key}
	}
}

// component returns the one that a service of Compose has become; nil if it was left out.
func (im *importing) component(name string) *component {
	for _, c := range im.components {
		if c.key == "services."+name {
			return c
		}
	}
	return nil
}
