package plan

import "strings"

// recover plans what one node needs before anything else, and fills current
// with the containers that will then be there.
//
// Whatever bears the service's labels and is not the committed release goes,
// and a committed container that waits under another name gets its own back.
// One exception keeps a service up when the registry knows less than the node
// does, as after a restore from an old backup: an uncommitted container under
// its real name is left until its replacement is healthy.
func (p *planner) recover(node string) {
	recovery := Recovery{Node: node}
	current := map[string]Container{}
	committed := p.committedOn(node)
	for _, c := range p.Nodes[node].Containers {
		if c.Service != p.Desired.Name {
			continue
		}
		member, released := p.Release.Components[c.Component]
		real := realName(c.Name)
		_, releaseIsHere := committed[c.Component]
		switch {
		case released && member.Node == node && member.Deployment == c.Deployment:
			if c.Name != member.Container {
				recovery.Rename = append(recovery.Rename, Rename{From: c.Name, To: member.Container})
				c.Name = member.Container
				if member.Active && !c.Running {
					recovery.Start = append(recovery.Start, c.Name)
					c.Running = true
				}
			}
			current[c.Name] = c
		case c.Name == real && !releaseIsHere:
			current[c.Name] = c
		default:
			recovery.Remove = append(recovery.Remove, c.Name)
		}
	}
	p.current[node] = current
	if len(recovery.Remove)+len(recovery.Rename) > 0 {
		p.plan.Recovery = append(p.plan.Recovery, recovery)
	}
}

// committedOn are the components whose released container is on the node.
func (p *planner) committedOn(node string) map[string]bool {
	found := map[string]bool{}
	for _, c := range p.Nodes[node].Containers {
		member, released := p.Release.Components[c.Component]
		if c.Service == p.Desired.Name && released && member.Node == node && member.Deployment == c.Deployment {
			found[c.Component] = true
		}
	}
	return found
}

// realName is a container's name without the suffix of one that waits.
func realName(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, NextSuffix), PrevSuffix)
}
