package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// EdgeChange is what a plan does to one endpoint of the edges.
type EdgeChange struct {
	Endpoint fleet.Endpoint `json:"endpoint"`
	// URL is where clients reach it: at the first edge, where edges differ in that.
	URL string `json:"url"`
	// Components are those that serve it, or have served it.
	Components []string `json:"components"`
	// Redirect is the hostname to which requests are redirected; "" where they are
	// served.
	Redirect string `json:"redirect,omitempty"`
	// Action is Create, Replace, Keep or Remove. Keep is also for an endpoint whose
	// requests go to new containers.
	Action Action `json:"action"`
	// Changes are the options that differ. Hashes of passwords are not shown.
	Changes []Change `json:"changes,omitempty"`
}

// edges plans what edges serve. It fails where another service holds an endpoint, and
// where an edge could not reach what it is to serve.
func (p *planner) edges() error {
	for _, e := range Endpoints(p.Desired) {
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

// reachable fails where a node publishes a route that edges are to serve on an address
// that an edge cannot reach. What the release has already is no reason to refuse a deploy
// that may repair it.
func (p *planner) reachable() error {
	for _, step := range p.plan.Steps {
		c, wanted := p.Desired.Component(step.Component)
		if !wanted || !p.Desired.Active || len(p.Only) > 0 && !slices.Contains(p.Only, c.Name) {
			continue
		}
		node, known := p.Release.Hosts[c.Node]
		if !known || !servicedef.OnlyLocal(node.Address) {
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

func (p *planner) warn(format string, args ...any) {
	p.plan.Warnings = append(p.plan.Warnings, fmt.Sprintf(format, args...))
}

// edgeChanges compares what edges serve of the release with what they will serve, in the
// order of the endpoints.
func (p *planner) edgeChanges() []EdgeChange {
	var before []fleet.EdgeRoute
	if p.Release.Definition != nil {
		before = Publication(fleet.PublicationSource{Definition: p.Release.Definition})
	}
	after := Publication(fleet.PublicationSource{Definition: &p.Desired})
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

// routeChanges returns the options in which two routes of an endpoint differ.
func routeChanges(old, new fleet.EdgeRoute) []Change {
	var changes []Change
	add := func(field, from, to string) {
		if from != to {
			changes = append(changes, Change{Field: field, From: from, To: to})
		}
	}
	yes := strconv.FormatBool
	add("components", strings.Join(old.Components, " "), strings.Join(new.Components, " "))
	add("redirect", old.Redirect, new.Redirect)
	add("tls", yes(!old.Plain), yes(!new.Plain))
	add("strip", yes(old.Strip), yes(new.Strip))
	add("h2c", yes(old.H2C), yes(new.H2C))
	add("compress", yes(old.Compress), yes(new.Compress))
	changes = append(changes, envChanges("basic_auth", old.BasicAuth, new.BasicAuth)...)
	add("allow", strings.Join(old.Allow, " "), strings.Join(new.Allow, " "))
	add("proxy_protocol", old.ProxyProtocol, new.ProxyProtocol)
	return changes
}

// routeKeys compares what a route's container does not depend on.
func routeKeys(field string, old, new servicedef.Route) []Change {
	var changes []Change
	add := func(key string, from, to any) {
		if from, to := fmt.Sprint(from), fmt.Sprint(to); from != to {
			changes = append(changes, Change{Field: field + "." + key, From: from, To: to})
		}
	}
	add("port", old.Port, new.Port)
	add("mode", old.Mode, new.Mode)
	add("hostname", strings.Join(old.Hostname, " "), strings.Join(new.Hostname, " "))
	add("redirect_from", strings.Join(old.RedirectFrom, " "), strings.Join(new.RedirectFrom, " "))
	add("path", old.Path, new.Path)
	add("strip", old.Strip, new.Strip)
	add("tls", tls(old.TLS), tls(new.TLS))
	add("h2c", old.H2C, new.H2C)
	add("compress", old.Compress, new.Compress)
	changes = append(changes, envChanges(field+".basic_auth", old.BasicAuth, new.BasicAuth)...)
	add("allow", strings.Join(old.Allow, " "), strings.Join(new.Allow, " "))
	add("proxy_protocol", old.ProxyProtocol, new.ProxyProtocol)
	add("edge", old.Edge, new.Edge)
	return changes
}

// tls is a value of that key, "" for none.
func tls(value *bool) string {
	if value == nil {
		return ""
	}
	return strconv.FormatBool(*value)
}
