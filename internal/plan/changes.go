package plan

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// changes returns the reasons for a new container; none if the current one is
// right. It names the fields that differ where the release's definition shows them,
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
		return p.fieldChanges(c, member, digest)
	case p.imageDiffers(current, digest):
		return []Change{{Field: "container", From: "of another image", To: "as released"}}
	case p.portsDiffer(current, member):
		return []Change{{Field: "container", From: "on other ports", To: "as released"}}
	case !current.Running:
		return []Change{{Field: "state", From: "stopped", To: "running"}}
	case p.Force:
		return []Change{{Field: "force", To: "replace"}}
	}
	return nil
}

// imageDiffers reports whether a container that mcp started runs another image than
// the registry has for it. An adopted one is known by its id, and keeps its image and
// its ports.
func (p *planner) imageDiffers(c fleet.Container, digest string) bool {
	return c.Image != "" && !p.Release.Adopts(c.ID) && !strings.HasSuffix(c.Image, "@"+digest)
}

// portsDiffer reports whether a container publishes other ports than the registry has
// for it.
func (p *planner) portsDiffer(c fleet.Container, member fleet.Member) bool {
	ports, known := p.Release.Published(member)
	return known && c.ID != "" && !p.Release.Adopts(c.ID) && !slices.Equal(ports, fleet.PortsOf(c.Ports))
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

// fieldChanges compares the component with the release's definition of it.
func (p *planner) fieldChanges(c servicedef.Component, member fleet.Member, digest string) []Change {
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
			add("volumes", fmt.Sprint(old.Volumes), fmt.Sprint(c.Volumes))
			add("ports", fmt.Sprint(old.Ports), fmt.Sprint(c.Ports))
			add("user", old.User, c.User)
			add("network", old.Network, c.Network)
			add("restart", old.Restart, c.Restart)
			add("memory", old.Memory, c.Memory)
			add("log_size", units.BytesSize(float64(old.LogBytes())), units.BytesSize(float64(c.LogBytes())))
			add("cpus", strconv.FormatFloat(old.CPUs, 'g', -1, 64), strconv.FormatFloat(c.CPUs, 'g', -1, 64))
			add("stop_timeout", time.Duration(old.StopTimeout).String(), time.Duration(c.StopTimeout).String())
			add("routes", routePorts(old.Routes), routePorts(c.Routes))
		}
	}
	if len(changes) == 0 {
		changes = []Change{{Field: "container", From: "changed by hand", To: "as released"}}
	}
	return changes
}

// envChanges names the variables that differ, and never their values, which may be
// secrets.
func envChanges(field string, old, new map[string]string) []Change {
	var changes []Change
	for key, value := range new {
		if before, had := old[key]; !had {
			changes = append(changes, Change{Field: field + "." + key, To: "set"})
		} else if before != value {
			changes = append(changes, Change{Field: field + "." + key, From: "set", To: "changed"})
		}
	}
	for key := range old {
		if _, has := new[key]; !has {
			changes = append(changes, Change{Field: field + "." + key, From: "set"})
		}
	}
	sort.Slice(changes, func(i, j int) bool { return changes[i].Field < changes[j].Field })
	return changes
}

// routePorts renders the part of a component's routes that its container depends
// on.
func routePorts(routes []servicedef.Route) string {
	var names []string
	for _, r := range routes {
		port := "$PORT"
		if r.ContainerPort != 0 {
			port = strconv.Itoa(r.ContainerPort)
		}
		names = append(names, r.Name+":"+port)
	}
	slices.Sort(names)
	return fmt.Sprint(names)
}
