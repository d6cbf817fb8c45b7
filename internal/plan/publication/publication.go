// Package publication decides what edges serve of a service, and which of its endpoints a
// service claims. It is pure, as plan is.
package publication

import (
	"slices"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// Endpoints returns what a service claims at the edges, each once, in order. A service
// that is stopped keeps its claims.
func Endpoints(definition servicedef.Service) []fleet.Endpoint {
	var all []fleet.Endpoint
	for _, c := range definition.Components {
		for _, r := range c.Routes {
			for _, at := range r.Places() {
				all = append(all, endpoint(at))
			}
		}
	}
	slices.SortFunc(all, fleet.Endpoint.Compare)
	return slices.Compact(all)
}

// Claimant is the first component that claims an endpoint for its service.
type Claimant struct {
	Endpoint  fleet.Endpoint
	Component string
}

// Claimants returns the claims of a service, each endpoint once, in the order of its
// definition.
func Claimants(definition servicedef.Service) []Claimant {
	var all []Claimant
	for _, c := range definition.Components {
		for _, r := range c.Routes {
			for _, at := range r.Places() {
				e := endpoint(at)
				if !slices.ContainsFunc(all, func(other Claimant) bool { return other.Endpoint == e }) {
					all = append(all, Claimant{e, c.Name})
				}
			}
		}
	}
	return all
}

// Routes returns what edges serve of a service: one route for each endpoint of its
// definition, in their order. Components that share an endpoint serve it together, in
// the order of the definition. A component that is stopped, or held, has no upstream.
func Routes(source fleet.PublicationSource) []fleet.EdgeRoute {
	if source.Definition == nil {
		return nil
	}
	p := publisher{source: source, routes: map[fleet.Endpoint]*fleet.EdgeRoute{}}
	for _, c := range source.Definition.Components {
		for _, r := range c.Routes {
			for _, at := range r.Places() {
				p.serve(c.Name, r, at)
			}
		}
	}
	routes := make([]fleet.EdgeRoute, 0, len(p.routes))
	for _, endpoint := range Endpoints(*source.Definition) {
		route := *p.routes[endpoint]
		route.Held = route.Held && len(route.Upstreams) == 0
		routes = append(routes, route)
	}
	return routes
}

// publisher makes one publication.
type publisher struct {
	source fleet.PublicationSource
	routes map[fleet.Endpoint]*fleet.EdgeRoute
}

// serve adds a component to those that serve an endpoint.
func (p *publisher) serve(component string, r servicedef.Route, at servicedef.Place) {
	route := p.routes[endpoint(at)]
	if route == nil {
		route = edgeRoute(r, at)
		route.Maintenance = p.source.Maintenance && at.RedirectTo == ""
		p.routes[route.Endpoint] = route
	}
	if !slices.Contains(route.Components, component) {
		route.Components = append(route.Components, component)
	}
	if route.Redirect != "" {
		return
	}
	if slices.Contains(p.source.Held, component) {
		route.Held = true
		return
	}
	m, upstream := p.upstream(component, r.Name)
	if upstream == "" || slices.Contains(route.Upstreams, upstream) {
		return
	}
	route.Upstreams = append(route.Upstreams, upstream)
	if OnlyLocal(p.source.AddressOf(m)) {
		if route.Local == nil {
			route.Local = map[string]string{}
		}
		route.Local[upstream] = p.source.Machines[m.Node]
	}
}

// upstream returns the address of a component's container; "" if it has none.
func (p *publisher) upstream(component, route string) (of fleet.Member, address string) {
	for _, m := range p.source.Members {
		address := p.source.AddressOf(m)
		if m.Component != component || !m.Active || address == "" {
			continue
		}
		for _, held := range m.Routes {
			if held.Name == route && held.HostPort != 0 {
				return m, hostPort(address, held.HostPort)
			}
		}
	}
	return of, ""
}

// edgeRoute returns a route at one of its places, without a component.
func edgeRoute(r servicedef.Route, at servicedef.Place) *fleet.EdgeRoute {
	route := fleet.EdgeRoute{Endpoint: endpoint(at), Name: r.Name, Plain: r.Plain(), Redirect: at.RedirectTo}
	if route.Redirect == "" {
		route.Strip, route.H2C, route.Compress = r.Strip, r.H2C, r.Compress
		route.BasicAuth, route.Allow, route.ProxyProtocol = r.BasicAuth, r.Allow, r.ProxyProtocol
	}
	return &route
}

func endpoint(at servicedef.Place) fleet.Endpoint {
	return fleet.Endpoint{Port: at.Port, Protocol: at.Protocol, Hostname: at.Hostname, Path: at.Path}
}

// Released is what a publication of a release is made from, as far as the release says.
func Released(r fleet.Release) fleet.PublicationSource {
	return Following(r, r.Definition, r.Members())
}

// Following is what the publication of the release after one is made from.
func Following(r fleet.Release, definition *servicedef.Service, members []fleet.Member) fleet.PublicationSource {
	source := fleet.PublicationSource{Definition: definition, Members: members, Addresses: map[string]string{}, Machines: map[string]string{}}
	for _, m := range members {
		source.Addresses[m.Node], source.Machines[m.Node] = r.Hosts[m.Node].Address, r.Hosts[m.Node].Machine.ID
	}
	return source
}

// MemberAt returns the component of a service to whose container an upstream leads.
func MemberAt(source fleet.PublicationSource, upstream string) (fleet.Member, bool) {
	for _, m := range source.Members {
		for _, r := range m.Routes {
			if hostPort(source.AddressOf(m), r.HostPort) == upstream {
				return m, true
			}
		}
	}
	return fleet.Member{}, false
}
