package plan

import (
	"slices"

	"github.com/metacircular/mcp/servicedef"
)

// possible fails if the node of a component cannot run it.
func (p *planner) possible(c servicedef.Component) error {
	if slices.Contains(p.Release.Draining, c.Node) {
		return &DrainingNodeError{Component: c.Name, Node: c.Node}
	}
	return p.equipped(c)
}

// equipped fails if the node of a new container lacks a secret, does not know a key, or
// has a policy that forbids it.
func (p *planner) equipped(c servicedef.Component) error {
	composed := c.ComposedNames()
	for _, secret := range c.SecretNames() {
		if _, own := c.Versions[secret]; own || slices.Contains(composed, secret) {
			continue // see sealed
		}
		if slices.Contains(p.Nodes[c.Node].MissingSecrets, secret) {
			return &MissingSecretError{Service: p.Desired.Name, Component: c.Name, Node: c.Node, Secret: secret}
		}
	}
	for _, key := range c.Keys() {
		if slices.Contains(p.Nodes[c.Node].UnknownKeys, key) {
			return &UnknownKeyError{Component: c.Name, Node: c.Node, Key: key}
		}
	}
	if broken := p.Nodes[c.Node].Forbidden[c.Name]; len(broken) > 0 && !p.Admitted {
		return &ForbiddenError{Component: c.Name, Node: c.Node, Policy: p.Nodes[c.Node].Policy, Broken: broken}
	}
	if err := p.sealed(c); err != nil {
		return err
	}
	return p.lacking(c)
}

// lacking fails when the engine of the component's node cannot apply its settings.
func (p *planner) lacking(c servicedef.Component) error {
	if lacks := p.Nodes[c.Node].Lacks[c.Name]; len(lacks) > 0 {
		return &LackingError{Component: c.Name, Node: c.Node, Lack: lacks[0]}
	}
	return nil
}
