package servicedef

import (
	"errors"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/servicedef/names"
)

var restartPolicy = pattern(`^(no|always|unless-stopped|on-failure(:[1-9][0-9]{0,8})?)$`)

// component applies the rules that concern one component alone.
func (r *report) component(key string, c Component) {
	at := func(name string) string { return joinKey(key, name) }
	r.label(at("name"), c.Name)
	r.image(at("image"), c.Image)
	r.routes(at("routes"), c)
	r.env(at("env"), c, c.Env)
	for i, argument := range c.Cmd {
		r.argument(elementKey(at("cmd"), i), argument)
	}
	r.secrets(key, c)
	r.volumes(at("volumes"), c.Volumes)
	r.ports(at("ports"), c)
	r.network(key, c)
	r.joined(key, c)
	r.order(at("order"), c)
	r.limits(key, c)
	r.health(at("health"), c)
	r.user(at("user"), c.User)
	r.container(key, c)
	r.job(key, c)
	if !restartPolicy().MatchString(c.Restart) {
		r.add(at("restart"), `must be "no", "on-failure", "on-failure:3", "always" or "unless-stopped", not %q`, c.Restart)
	}
	if c.StopTimeout < 0 {
		r.add(at("stop_timeout"), "must not be negative")
	}
	if c.Drain < 0 {
		r.add(at("drain"), "must not be negative")
	}
}

func (r *report) user(key, user string) {
	if strings.ContainsAny(user, " \t\r\n") {
		r.add(key, "must not contain spaces, unlike %q", user)
	}
	for id := range strings.SplitSeq(user, ":") {
		if n, err := strconv.ParseUint(id, 10, 64); errors.Is(err, strconv.ErrRange) || err == nil && n > maxID {
			r.add(key, "must have ids from 0 to %d, unlike %q", maxID, user)
			break
		}
	}
}

// ports checks the syntax of each entry, and whether the network can publish it.
func (r *report) ports(key string, c Component) {
	count := 0
	for i, text := range c.Ports {
		ports, err := parsePort(text)
		if err != nil {
			r.add(elementKey(key, i), "%q: %v", text, err)
			continue
		}
		if p := ports[0]; c.Network == networkHost && p.Host != p.Container {
			r.add(elementKey(key, i), "host port %d cannot be mapped to container port %d with host networking", p.Host, p.Container)
		}
		count += len(ports)
	}
	if count > maxPorts {
		r.add(key, "lists %d ports; the limit is %d", count, maxPorts)
	}
}

func (r *report) network(key string, c Component) {
	switch {
	case c.Network != "" && !names.IsObject(c.Network):
		r.add(joinKey(key, "network"), `must be "host", "none", "bridge" or the name of a network, not %q`, c.Network)
	case c.Network == networkNone && len(c.Routes)+len(c.Ports) > 0:
		r.add(joinKey(key, "network"), `"none" cannot publish the routes and ports`)
	}
}

// order refuses start-first with static host ports: the new container would wait
// for ports that the old one holds.
func (r *report) order(key string, c Component) {
	switch {
	case c.Order != StopFirst && c.Order != StartFirst:
		r.add(key, "must be %q or %q, not %q", StopFirst, StartFirst, c.Order)
	case c.Order == StartFirst && len(c.Ports) > 0:
		r.add(key, "must be %q, because the old container holds the host ports named in ports until it stops", StopFirst)
	}
}
