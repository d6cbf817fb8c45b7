package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// changes returns the reasons for a new container; none if the current one is
// right. It names the fields that differ if the release's definition shows them,
// or else the container itself.
func (p *planner) changes(c servicedef.Component, member fleet.Member, released bool, current fleet.Container, exists bool) []Change {
	digest := p.Digests[c.Image]
	if p.Pinned {
		digest = member.Digest
	}
	switch {
	case !released && !exists:
		return []Change{{Field: "component", To: c.Name}}
	case released && member.Node != c.Node:
		return append([]Change{{Field: "node", From: member.Node, To: c.Node}}, p.leftData(c, member)...)
	case !exists:
		return []Change{{Field: "container", From: "missing", To: "running"}}
	case !released || !member.CreatedBy(current.Deployment, current.Run):
		return []Change{{Field: "container", From: "not of a release", To: "released"}}
	case digest == "" && !p.Pinned || current.Spec != SpecHash(c, digest):
		return p.fieldChanges(c, member, digest, current)
	case p.imageDiffers(current, digest):
		return []Change{{Field: "container", From: "of another image", To: "as released"}}
	case current.Unnamed != "":
		return []Change{{Field: "names", From: "lost", To: "as released"}}
	case p.portsDiffer(current, member):
		return []Change{{Field: "container", From: "on other ports", To: "as released"}}
	case p.moved(c, member):
		return []Change{{Field: "address", From: member.Address, To: p.Release.Hosts[c.Node].Address}}
	case !current.Running && (!c.RunsOnce() || !current.Done):
		return []Change{{Field: "state", From: "stopped", To: "running"}}
	case p.Force:
		return []Change{{Field: "force", To: "replace"}}
	}
	return nil
}

// imageDiffers reports whether a container that mcp started runs another image than
// the registry has for it. An adopted one is identified by its id, and keeps its image
// and its ports.
func (p *planner) imageDiffers(c fleet.Container, digest string) bool {
	return c.Image != "" && !p.Release.Adopts(c.ID) && !strings.HasSuffix(c.Image, "@"+digest)
}

// portsDiffer reports whether a container publishes other ports than the registry has
// for it.
func (p *planner) portsDiffer(c fleet.Container, member fleet.Member) bool {
	ports, known := p.Release.Published(member)
	return known && c.ID != "" && !p.Release.Adopts(c.ID) && !slices.Equal(ports, fleet.PortsOf(c.Ports))
}

// moved reports whether a container that edges are to reach publishes its ports where its
// node did before.
func (p *planner) moved(c servicedef.Component, member fleet.Member) bool {
	now := p.Release.Hosts[c.Node].Address
	return atEdges(c) && member.Address != "" && now != "" && member.Address != now
}

// leftData names the volumes whose data stays on the node that a component leaves: the
// new container begins with those of its own node.
func (p *planner) leftData(c servicedef.Component, member fleet.Member) []Change {
	if p.Release.Definition == nil {
		return nil
	}
	old, _ := p.Release.Definition.Component(c.Name)
	var left []Change
	for _, volume := range old.Volumes {
		source, _, _ := strings.Cut(volume, ":")
		change := Change{Field: "volume " + source, From: "data on " + member.Node, To: "not copied to " + c.Node}
		if !slices.Contains(left, change) {
			left = append(left, change)
		}
	}
	return left
}

// fieldChanges compares the component with the release's definition of it. If they are
// equal, the container differs from both: it was changed, or it is older than the
// definition, which was released while the service was stopped.
func (p *planner) fieldChanges(c servicedef.Component, member fleet.Member, digest string, current fleet.Container) []Change {
	var changes []Change
	add := func(field, from, to string) {
		if from != to {
			changes = append(changes, Change{Field: field, From: from, To: to})
		}
	}
	add("image", member.Image, c.Image)
	if digest == "" {
		add("digest", member.Digest, "to be built")
	} else {
		add("digest", member.Digest, digest)
	}
	if p.Release.Definition != nil {
		if old, ok := p.Release.Definition.Component(c.Name); ok {
			add("cmd", fmt.Sprint(old.Cmd), fmt.Sprint(c.Cmd))
			changes = append(changes, envChanges("env", old.Env, c.Env)...)
			add("secrets", fmt.Sprint(old.Secrets), fmt.Sprint(c.Secrets))
			changes = append(changes, envChanges("secret_env", old.SecretEnv, c.SecretEnv)...)
			changes = append(changes, secretChanges(old, c)...)
			add("volumes", fmt.Sprint(old.Volumes), fmt.Sprint(c.Volumes))
			add("ports", fmt.Sprint(old.Ports), fmt.Sprint(c.Ports))
			add("user", old.User, c.User)
			add("network", old.Network, c.Network)
			add("networks", fmt.Sprint(old.Networks), fmt.Sprint(c.Networks))
			add("restart", old.Restart, c.Restart)
			add("memory", old.Memory, c.Memory)
			add("log_size", units.BytesSize(float64(old.LogBytes())), units.BytesSize(float64(c.LogBytes())))
			add("cpus", strconv.FormatFloat(old.CPUs, 'g', -1, 64), strconv.FormatFloat(c.CPUs, 'g', -1, 64))
			add("stop_timeout", time.Duration(old.StopTimeout).String(), time.Duration(c.StopTimeout).String())
			add("routes", routePorts(old.Routes), routePorts(c.Routes))
			changes = append(changes, containerChanges(old.Container, c.Container)...)
		}
	}
	switch {
	case len(changes) > 0:
		return append(changes, p.definitionChanges(c)...)
	case current.Spec == member.Spec:
		return []Change{{Field: "container", From: "started with other settings", To: "with those of the definition"}}
	}
	return []Change{{Field: "container", From: "changed by hand", To: "as released"}}
}

// definitionChanges compares what a component's container does not depend on.
func (p *planner) definitionChanges(c servicedef.Component) []Change {
	if p.Release.Definition == nil {
		return nil
	}
	old, released := p.Release.Definition.Component(c.Name)
	if !released {
		return nil
	}
	var changes []Change
	add := func(field string, from, to any) {
		if from, to := fmt.Sprint(from), fmt.Sprint(to); from != to {
			changes = append(changes, Change{Field: field, From: from, To: to})
		}
	}
	add("depends_on", old.DependsOn, c.DependsOn)
	add("order", old.Order, c.Order)
	add("drain", time.Duration(old.Drain), time.Duration(c.Drain))
	was, is := old.Health, c.Health
	add("health.http", was.HTTP, is.HTTP)
	add("health.host", was.Host, is.Host)
	changes = append(changes, envChanges("health.headers", was.Headers, is.Headers)...)
	add("health.status", was.Status, is.Status)
	add("health.tcp", was.TCP, is.TCP)
	add("health.port", was.Port, is.Port)
	add("health.cmd", was.Cmd, is.Cmd)
	add("health.interval", time.Duration(was.Interval), time.Duration(is.Interval))
	add("health.timeout", time.Duration(was.Timeout), time.Duration(is.Timeout))
	add("health.min_healthy", time.Duration(was.MinHealthy), time.Duration(is.MinHealthy))
	add("health.retries", was.Retries, is.Retries)
	add("health.start_period", time.Duration(was.StartPeriod), time.Duration(is.StartPeriod))
	for _, route := range c.Routes {
		i := slices.IndexFunc(old.Routes, func(r servicedef.Route) bool { return r.Name == route.Name })
		if i < 0 {
			continue // fieldChanges names it
		}
		changes = append(changes, routeKeys("routes."+route.Name, old.Routes[i], route)...)
	}
	return changes
}
