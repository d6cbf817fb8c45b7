package plan

import (
	"slices"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// WantedPorts returns the static ports of a service's components.
func WantedPorts(desired servicedef.Service) []fleet.HostPort {
	var wanted []fleet.HostPort
	for _, c := range desired.Components {
		for _, port := range c.StaticPorts() {
			wanted = append(wanted, fleet.HostPort{Node: c.Node, Protocol: port.Protocol, Port: port.Host})
		}
	}
	return wanted
}

// Giving returns the components whose ports a plan's new containers may have: those
// that are replaced or removed.
func (p Plan) Giving() []string {
	var names []string
	for _, step := range p.Steps {
		if step.Action == Replace || step.Action == Remove {
			names = append(names, step.Component)
		}
	}
	return names
}

// held fails if a new container needs a static port, or a volume, of a container
// that the plan leaves alone.
func (p *planner) held() error {
	giving := p.plan.Giving()
	for _, step := range p.plan.Steps {
		if !step.starts() {
			continue
		}
		c, _ := p.Desired.Component(step.Component)
		for _, port := range c.StaticPorts() {
			if err := p.heldPort(c, port, giving); err != nil {
				return err
			}
		}
		if err := p.heldVolume(c, step); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) heldPort(c servicedef.Component, port servicedef.Port, giving []string) error {
	at := fleet.HostPort{Node: c.Node, Protocol: port.Protocol, Port: port.Host}
	i := slices.IndexFunc(p.Held, func(h fleet.PortHolder) bool { return h.HostPort == at })
	if i < 0 {
		return nil
	}
	holder := p.Held[i]
	own := holder.Service == p.Desired.Name
	// What a deploy that did not end has asked for is given up by the recovery.
	if own && (!holder.Committed || holder.Component == c.Name || slices.Contains(giving, holder.Component)) {
		return nil
	}
	given, defined := p.given(holder.Component)
	return &HeldError{
		Component: c.Name, Node: c.Node, Thing: portName(port), Port: port.Host, Holder: holder.String(),
		Partial: own && (!defined || !has(given, port)),
	}
}

// heldVolume fails if a deploy of some components would make one of them write to a
// volume that a deploy of the whole service takes from another one.
func (p *planner) heldVolume(c servicedef.Component, step Step) error {
	if len(p.Only) == 0 || p.Given == nil {
		return nil
	}
	for _, m := range p.Release.Members() {
		if m.Node != step.Node || slices.Contains(p.Only, m.Component) {
			continue
		}
		kept, _ := p.given(m.Component)
		for _, volume := range handedVolumes(c, releasedOn(p.Release, c.Name, c.Node), releasedOn(p.Release, m.Component, m.Node), kept) {
			return &HeldError{
				Component: c.Name, Node: c.Node, Thing: volume, Partial: true,
				Holder: fleet.PortHolder{Service: p.Desired.Name, Component: m.Component}.String(),
			}
		}
	}
	return nil
}

// given is a component of the whole definition that was asked for, of which the plan
// may carry out only a part.
func (p *planner) given(component string) (servicedef.Component, bool) {
	if p.Given == nil {
		return p.Desired.Component(component)
	}
	return p.Given.Component(component)
}
