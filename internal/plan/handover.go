package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// handovers finds, for each new container, the containers that stop before it starts:
// its predecessor if the order is stop-first, and the container of every component
// that gives up a port or a volume which the new container has. Stops wait for no
// start, so components that exchange what they have are all stopped first.
func (p *planner) handovers() {
	for i := range p.plan.Steps {
		step := &p.plan.Steps[i]
		if !step.starts() {
			continue
		}
		c, _ := p.Desired.Component(step.Component)
		if c.Order == servicedef.StopFirst && step.OldNode != "" && p.Nodes[step.OldNode].Reachable {
			step.StopsFirst = append(step.StopsFirst, step.stopped())
		}
		for _, giver := range p.plan.Steps {
			if !p.gives(giver, *step) {
				continue
			}
			things := p.handed(c, giver)
			for _, thing := range things {
				step.Takes = append(step.Takes, Taking{From: giver.Component, Thing: thing})
			}
			if len(things) > 0 {
				step.StopsFirst = append(step.StopsFirst, giver.stopped())
			}
		}
	}
}

// gives reports whether the old container of a step goes, on the node on which
// another step's new one starts.
func (p *planner) gives(giver, taker Step) bool {
	_, released := p.Release.Components[giver.Component]
	return released && giver.Component != taker.Component && giver.OldNode == taker.Node &&
		(giver.Action == Replace || giver.Action == Remove)
}

// handed returns what a component takes from the one that a step replaces or
// removes.
func (p *planner) handed(c servicedef.Component, giver Step) []string {
	return Handed(c, p.Release, giver.Component, p.Release, p.Desired)
}

// Handed returns the ports and volumes that a component, whose service has the release
// of, takes from a component of another release, which has a new definition.
func Handed(to servicedef.Component, of fleet.Release, giver string, release fleet.Release, desired servicedef.Service) []string {
	from := releasedOn(release, giver, to.Node)
	kept, _ := desired.Component(giver)
	if kept.Node != to.Node {
		kept = servicedef.Component{}
	}
	ports := from.StaticPorts()
	if from.Name != "" {
		for _, route := range release.Components[giver].Routes {
			// A successor publishes its routes on other ports.
			ports = append(ports, servicedef.Port{Protocol: route.Transport(), Host: route.HostPort})
		}
	}
	var things []string
	for _, port := range ports {
		if has(to, port) && !has(kept, port) {
			things = append(things, portName(port))
		}
	}
	return append(things, handedVolumes(to, releasedOn(of, to.Name, to.Node), from, kept)...)
}

// handedVolumes returns the volumes that a component writes to and did not before,
// of those that another one wrote to and no longer keeps. Containers whose order is
// start-first may share them.
func handedVolumes(to, had, from, kept servicedef.Component) []string {
	if to.Order != servicedef.StopFirst {
		return nil
	}
	var names []string
	for _, volume := range to.WritableVolumes() {
		writes := func(c servicedef.Component) bool {
			return slices.ContainsFunc(c.WritableVolumes(), func(other string) bool { return sameData(volume, other) })
		}
		if writes(from) && !writes(kept) && !writes(had) {
			names = append(names, "volume "+volume)
		}
	}
	return names
}

// sameData reports whether two sources of volumes are the same, or one directory is
// within the other.
func sameData(a, b string) bool {
	if a == b || !path.IsAbs(a) || !path.IsAbs(b) {
		return a == b
	}
	within := func(inner, outer string) bool {
		return strings.HasPrefix(inner+"/", strings.TrimSuffix(outer, "/")+"/")
	}
	return within(a, b) || within(b, a)
}

// has reports whether a component has a static port, at whatever address.
func has(c servicedef.Component, port servicedef.Port) bool {
	return slices.ContainsFunc(c.StaticPorts(), func(p servicedef.Port) bool {
		return p.Host == port.Host && p.Protocol == port.Protocol
	})
}

func portName(p servicedef.Port) string { return fmt.Sprintf("%s port %d", p.Protocol, p.Host) }
