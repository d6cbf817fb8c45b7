package plan

import (
	"slices"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/servicedef"
)

// edges plans what edges serve. It fails if another service holds an endpoint, or if an
// edge could not reach what it is to serve.
func (p *planner) edges() error {
	for _, e := range publication.Endpoints(p.Desired) {
		for _, holder := range p.Holders {
			if holder.Service != p.Desired.Name && holder.Endpoint.Collides(e) {
				return &ClaimedError{Endpoint: e, Holder: holder}
			}
		}
	}
	if err := p.reachable(); err != nil {
		return err
	}
	p.plan.Edges = p.edgeChanges()
	if len(p.Release.Edges) == 0 && p.Desired.Active && len(p.plan.Edges) > 0 {
		p.warn("no edge is admitted, so that nothing serves the hostnames of %s: mcp edge admit NAME", p.Desired.Name)
	}
	return nil
}

// reachable fails if a node publishes a route that edges are to serve on an address
// that an edge cannot reach. What the release has already is no reason to refuse a deploy
// that may repair it.
func (p *planner) reachable() error {
	for _, step := range p.plan.Steps {
		c, wanted := p.Desired.Component(step.Component)
		if !wanted || !p.Desired.Active || len(p.Only) > 0 && !slices.Contains(p.Only, c.Name) {
			continue
		}
		node, known := p.Release.Hosts[c.Node]
		if !known || !publication.OnlyLocal(node.Address) {
			continue
		}
		i := slices.IndexFunc(p.Release.Edges, func(e fleet.EdgeHost) bool { return !e.Machine.SameHost(node.Machine) })
		if i < 0 {
			continue
		}
		for _, route := range c.Routes {
			if !route.AtEdges() {
				continue
			}
			unreachable := &UnreachableError{
				Component: c.Name, Route: route.Name, Node: c.Node, Address: node.Address, Edge: p.Release.Edges[i].Name,
			}
			if !p.served(c, route) {
				return unreachable
			}
			p.warn("%v", unreachable)
		}
	}
	return nil
}

// served reports whether the release has a route on the same node, for edges to serve.
func (p *planner) served(c servicedef.Component, route servicedef.Route) bool {
	return slices.ContainsFunc(releasedOn(p.Release, c.Name, c.Node).Routes, func(r servicedef.Route) bool {
		return r.Name == route.Name && r.AtEdges()
	})
}

// edgeChanges compares what edges serve of the release with what they will serve, in the
// order of the endpoints.
func (p *planner) edgeChanges() []EdgeChange {
	var before []fleet.EdgeRoute
	if p.Release.Definition != nil {
		before = publication.Routes(fleet.PublicationSource{Definition: p.Release.Definition})
	}
	after := publication.Routes(fleet.PublicationSource{Definition: &p.Desired})
	var changes []EdgeChange
	for _, route := range after {
		i := slices.IndexFunc(before, func(r fleet.EdgeRoute) bool { return r.Endpoint == route.Endpoint })
		if i < 0 {
			changes = append(changes, p.edgeChange(route, Create, nil))
			continue
		}
		action, different := Keep, routeChanges(before[i], route)
		if len(different) > 0 {
			action = Replace
		}
		changes = append(changes, p.edgeChange(route, action, different))
	}
	for _, route := range before {
		if !slices.ContainsFunc(after, func(r fleet.EdgeRoute) bool { return r.Endpoint == route.Endpoint }) {
			changes = append(changes, p.edgeChange(route, Remove, nil))
		}
	}
	slices.SortStableFunc(changes, func(a, b EdgeChange) int { return a.Endpoint.Compare(b.Endpoint) })
	return changes
}

func (p *planner) edgeChange(route fleet.EdgeRoute, action Action, changes []Change) EdgeChange {
	var ports map[int]int
	if len(p.Release.Edges) > 0 {
		ports = p.Release.Edges[0].Ports
	}
	return EdgeChange{
		Endpoint: route.Endpoint, URL: route.URL(ports), Components: route.Components, Redirect: route.Redirect,
		Action: action, Changes: changes,
	}
}
