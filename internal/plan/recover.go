package plan

import (
	"slices"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// Leftovers returns the recoveries after which the nodes hold nothing of the service
// but its release. It is for a service whose last deploy has ended and could not
// undo everything.
func Leftovers(release fleet.Release, nodes map[string]Node) []Recovery {
	var found []Recovery
	for _, name := range sortedNodes(nodes) {
		recovery, current := recoverNode(release, name, nodes[name], func(string) bool { return true }, func(string) bool { return false })
		for _, m := range release.Members() {
			if c, exists := current[m.Container]; exists && m.Active && !c.Running && !done(release, m, c) {
				recovery.Start = append(recovery.Start, fleet.Ref{Name: m.Container, ID: c.ID})
			}
		}
		if !recovery.empty() {
			found = append(found, recovery)
		}
	}
	return found
}

// recover plans the recovery of each node, and records the containers that will be
// there after it.
func (p *planner) recover() {
	release := p.Release
	release.Service = p.Desired.Name
	for _, name := range sortedNodes(p.Nodes) {
		replaced := func(component string) bool {
			c, defined := p.Desired.Component(component)
			return defined && c.Node == name && !c.IsJob()
		}
		// Like one that goes, a container that is only stopped does not need its name back
		// if another one has it now.
		wanted := func(component string) bool {
			return replaced(component) && (p.Desired.Active || !p.taken(name, component))
		}
		recovery, current := recoverNode(release, name, p.Nodes[name], wanted, replaced)
		p.current[name] = current
		if !recovery.empty() {
			p.plan.Recovery = append(p.plan.Recovery, recovery)
		}
	}
}

// taken reports whether a foreign container has the name of a component's.
func (p *planner) taken(node, component string) bool {
	name := servicedef.ContainerNameFor(p.Desired.Name, component)
	return slices.ContainsFunc(p.Nodes[node].Containers, func(c fleet.Container) bool { return c.Name == name && c.Service != p.Desired.Name })
}

// recoverNode returns the recovery of one node, and the containers that will be
// there after it.
//
// A container that has the service's labels and is not of the committed release is removed,
// as that of a step of a former deployment is, and a committed one that waits under another
// name gets its own back, if the component is wanted there; one that goes needs none.
// One exception keeps a service up when the registry has lost deployments, as after
// a restore from an old backup: an uncommitted container under its real name, of a
// component that is replaced, is left until its successor is healthy.
func recoverNode(release fleet.Release, name string, node Node, wanted, replaced func(component string) bool) (Recovery, map[string]fleet.Container) {
	recovery := Recovery{Node: name}
	current := map[string]fleet.Container{}
	keep := committedOn(release, name, node)
	for _, c := range node.Containers {
		if c.Service != release.Service || c.Task.Kind == fleet.JobTask {
			continue // a run of a job goes on, whatever becomes of the release
		}
		kept, released := keep[c.Component]
		switch {
		case released && kept == c.Name:
			member := release.Components[c.Component]
			back := c.Name != member.Container && wanted(c.Component)
			if back {
				recovery.Rename = append(recovery.Rename, Rename{ID: c.ID, From: c.Name, To: member.Container})
			}
			if back && member.Active && !c.Running && !done(release, member, c) {
				recovery.Start = append(recovery.Start, fleet.Ref{Name: member.Container, ID: c.ID})
				c.Running = true
			}
			c.Name = member.Container
			current[c.Name] = c
		case !released && c.Name == fleet.RealName(c.Name) && replaced(c.Component):
			current[c.Name] = c
		default:
			recovery.Remove = append(recovery.Remove, fleet.Ref{Name: c.Name, ID: c.ID})
		}
	}
	return recovery, current
}

// done reports whether a container of the release has done its work and is not to run
// again.
func done(release fleet.Release, m fleet.Member, c fleet.Container) bool {
	return c.Done && releasedOn(release, m.Component, m.Node).RunsOnce()
}

// committedOn returns, by component, the names of the released containers on a
// node. Of two, as after a step that came late, it is the one under its real
// name.
func committedOn(release fleet.Release, name string, node Node) map[string]string {
	found := map[string]string{}
	for _, c := range node.Containers {
		if !release.Has(name, c) {
			continue
		}
		if _, two := found[c.Component]; !two || c.Name == fleet.RealName(c.Name) {
			found[c.Component] = c.Name
		}
	}
	return found
}
