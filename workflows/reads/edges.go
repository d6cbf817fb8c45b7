package reads

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// EdgesInput selects edges.
type EdgesInput struct {
	// Name selects one; empty means all.
	Name string `json:"name,omitempty"`
	// Reach makes each edge also connect to the containers that it serves.
	Reach bool `json:"reach,omitempty"`
}

// EdgesResult holds edges, each with its status.
type EdgesResult struct {
	Edges []fleet.EdgeState `json:"edges"`
	// Silent are the admitted edges that do not answer now, with the reasons. Their
	// status is the last one that was recorded.
	Silent map[string]*fault.Error `json:"silent,omitempty"`
	// Routes are what the edges serve, and Unreached why an edge does not reach upstreams
	// of these, by edge and upstream, if that was asked for.
	Routes    []PublishedRoute             `json:"routes,omitempty"`
	Unreached map[string]map[string]string `json:"unreached,omitempty"`
}

// Edges reads edges, and asks each that is admitted for its status, and for what it
// reaches.
func Edges(ctx workflow.Context, in EdgesInput) (*EdgesResult, error) {
	edges, err := readEdges(ctx, in.Name)
	if err != nil {
		return nil, call.Failure(err)
	}
	result := &EdgesResult{Edges: edges, Silent: map[string]*fault.Error{}}
	g := call.NewGroup(ctx)
	if in.Reach {
		if result.Routes, err = publishedRoutes(ctx, ""); err != nil {
			return nil, call.Failure(err)
		}
		result.Unreached = map[string]map[string]string{}
		upstreams := upstreamsOf(result.Routes)
		for _, e := range edges {
			if e.Admitted.IsZero() || len(upstreams) == 0 {
				continue
			}
			g.Add(workflow.ExecuteActivity(call.EdgeStep(g.Context(), e.Name, "connect from "+e.Name, 0), edge.ReachUpstreams, upstreams), func(f workflow.Future) error {
				var found onedge.ReachUpstreamsResult
				if f.Get(ctx, &found) == nil && len(found.Problems) > 0 { // that it is away is found below
					result.Unreached[e.Name] = found.Problems
				}
				return nil
			})
		}
	}
	for i := range edges {
		e := &edges[i]
		if e.Admitted.IsZero() {
			continue
		}
		g.Add(workflow.ExecuteActivity(call.EdgeStep(g.Context(), e.Name, "observe edge "+e.Name, 0), edge.ObserveEdge), func(f workflow.Future) error {
			var status fleet.EdgeStatus
			if err := call.EdgeFault(f.Get(ctx, &status), e.Name); err != nil {
				result.Silent[e.Name] = attempt.FaultOf(err)
				return nil
			}
			e.Status, e.Seen = &status, workflow.Now(ctx)
			return nil
		})
	}
	_ = g.Wait(ctx) // its handlers return no error
	return result, nil
}

// upstreamsOf returns the upstreams of routes, each once.
func upstreamsOf(routes []PublishedRoute) []string {
	var all []string
	for _, r := range routes {
		if r.Endpoint.Protocol != fleet.ProtocolUDP {
			all = append(all, r.Upstreams...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// readEdges reads the edges from the registry, or one.
func readEdges(ctx workflow.Context, name string) ([]fleet.EdgeState, error) {
	edges, err := call.ControlQuery(ctx, "list edges", call.ReadTimeout, control.ListEdges)
	if err != nil || name == "" {
		return edges, err
	}
	edges = slices.DeleteFunc(edges, func(e fleet.EdgeState) bool { return e.Name != name })
	if len(edges) == 0 {
		return nil, fault.New(fault.NotFound, "no edge is called %s", name).WithHint("see the edges: mcp edge list")
	}
	return edges, nil
}

// RoutesInput selects published routes.
type RoutesInput struct {
	// Service selects by service; empty means all.
	Service string `json:"service,omitempty"`
}

// RoutesResult is what edges serve, by service and in the order of its definition.
type RoutesResult struct {
	Routes []PublishedRoute `json:"routes"`
}

// PublishedRoute is a route of a service that edges serve.
type PublishedRoute struct {
	Service string `json:"service"`
	fleet.EdgeRoute
	// URL is where clients reach it, such as "https://shop.example/api"; "" if no URL names
	// it, as with udp.
	URL string `json:"url,omitempty"`
}

// Routes reads the routes that edges serve.
func Routes(ctx workflow.Context, in RoutesInput) (*RoutesResult, error) {
	routes, err := publishedRoutes(ctx, in.Service)
	if err != nil {
		return nil, call.Failure(err)
	}
	return &RoutesResult{Routes: routes}, nil
}

// publishedRoutes reads the routes that edges serve, of one service or of all.
func publishedRoutes(ctx workflow.Context, service string) ([]PublishedRoute, error) {
	found, err := call.Control(ctx, "list what edges serve", call.ReadTimeout, control.ListPublications, oncontrol.ListPublicationsInput{Service: service})
	if err != nil {
		return nil, err
	}
	routes := []PublishedRoute{}
	if len(found.Publications) == 0 {
		return routes, nil
	}
	edges, err := readEdges(ctx, "")
	if err != nil {
		return nil, err
	}
	var ports map[int]int // all edges mostly have the same
	for _, e := range edges {
		if ports == nil && !e.Admitted.IsZero() {
			ports = e.Ports
		}
	}
	for _, p := range found.Publications {
		for _, r := range p.Routes {
			routes = append(routes, PublishedRoute{Service: p.Service, EdgeRoute: r, URL: r.URL(ports)})
		}
	}
	return routes, nil
}
