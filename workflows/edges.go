package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// AnnounceEdge records that an edge has started, and returns what it serves. An edge
// that no operator has admitted gets nothing. An edge whose name belongs to another key
// is refused as a Conflict.
func AnnounceEdge(ctx workflow.Context, in fleet.EdgeRecord) (*fleet.EdgeAnswer, error) {
	answer, err := callControl(ctx, "record edge "+in.Name, 0, control.RecordAnnouncement, in)
	if err != nil {
		return nil, readFailure(err)
	}
	return &answer, nil
}

// EdgeStorage carries out a request of an edge to the storage that edges share: their
// certificates, challenges and authorities, sealed to their keys. A request that no
// admitted edge has made is refused as Unauthorized.
func EdgeStorage(ctx workflow.Context, in fleet.StorageRequest) (*fleet.StorageAnswer, error) {
	asked := oncontrol.UseStorageInput{Request: in, Run: workflow.GetInfo(ctx).WorkflowExecution.RunID}
	answer, err := callControl(ctx, "use the storage of edges for "+in.Edge, readTimeout, control.UseStorage, asked)
	if err != nil {
		return nil, readFailure(err)
	}
	return &answer, nil
}

// AdmitEdgeInput names an edge to admit.
type AdmitEdgeInput struct {
	Edge string `json:"edge"`
	// Key is the public key that the operator has seen at the edge; "" admits the one
	// that the edge has announced.
	Key string `json:"key,omitempty"`
}

// AdmitEdgeResult is an edge that is admitted.
type AdmitEdgeResult struct {
	// Key is the key that is pinned.
	Key string `json:"key"`
	// Published is what became of the publications of every service.
	Published EdgePublished `json:"published"`
}

// AdmitEdge admits an edge by its key, and publishes to it all that edges serve.
func AdmitEdge(ctx workflow.Context, in AdmitEdgeInput) (*AdmitEdgeResult, error) {
	pinned, err := callControl(ctx, "admit edge "+in.Edge, readTimeout, control.PinEdge, fleet.EdgeAdmission(in))
	if err != nil {
		return nil, readFailure(err)
	}
	if err := welcome(ctx, in.Edge); err != nil {
		return nil, readFailure(err)
	}
	published, err := catchUp(ctx, in.Edge)
	if err != nil {
		return nil, readFailure(err)
	}
	return &AdmitEdgeResult{Key: pinned.Key, Published: published}, nil
}

// welcome has the other edges ask for the admitted keys, to which they then seal what
// edges share. One that is away does so when it is back.
func welcome(ctx workflow.Context, name string) error {
	edges, err := queryControl(ctx, "list edges", readTimeout, control.AdmittedEdges)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(edges, func(other string) bool { return other == name })
	publishTo(ctx, others, nil) // an edge to which nothing is published announces itself
	return nil
}

// catchUp publishes to an edge what it lacks, as much at once as travels together. What
// it does not take over the monitor sends it later.
func catchUp(ctx workflow.Context, name string) (EdgePublished, error) {
	result := EdgePublished{Edge: name}
	after := ""
	for {
		part, err := callControl(ctx, "read what "+name+" lacks", recordTimeout, control.MissingAt, oncontrol.MissingAtInput{Edge: name, After: after})
		if err != nil || len(part.Publications) == 0 {
			return result, err
		}
		became := publishTo(ctx, []string{name}, part.Publications)
		if err := recordPublished(ctx, became, part.Publications); err != nil {
			return result, err
		}
		result.Error = became[0].Error
		result.Problems = fleet.CheckedProblems(slices.Concat(result.Problems, became[0].Problems))
		if result.Error != nil || !part.More || spent(ctx) {
			return result, nil
		}
		after = part.Publications[len(part.Publications)-1].Service
	}
}

// RemoveEdge forgets an edge and its key: it gets nothing any more, and ports that it
// may still serve can be allocated again. One that still runs serves nothing any more.
// Where there is no such edge, nothing is left to do.
func RemoveEdge(ctx workflow.Context, name string) error {
	if err := sendControl(ctx, "remove edge "+name, readTimeout, control.ForgetEdge, name); err != nil {
		return readFailure(err)
	}
	publishTo(ctx, []string{name}, nil) // an edge to which nothing is published asks whether it is admitted
	return nil
}

// EdgesInput selects edges.
type EdgesInput struct {
	// Name selects one; empty means all.
	Name string `json:"name,omitempty"`
	// Reach has each edge connect to the containers that it serves, too.
	Reach bool `json:"reach,omitempty"`
}

// EdgesResult is edges, each with its status.
type EdgesResult struct {
	Edges []fleet.EdgeState `json:"edges"`
	// Silent are the admitted edges that do not answer now, with the reasons. Their
	// status is the last one that was recorded.
	Silent map[string]*fault.Error `json:"silent,omitempty"`
	// Routes are what the edges serve, and Unreached why an edge does not reach upstreams
	// of these, by edge and upstream, where that was asked for.
	Routes    []PublishedRoute             `json:"routes,omitempty"`
	Unreached map[string]map[string]string `json:"unreached,omitempty"`
}

// Edges reads edges, and asks each that is admitted for its status, and for what it
// reaches.
func Edges(ctx workflow.Context, in EdgesInput) (*EdgesResult, error) {
	edges, err := readEdges(ctx, in.Name)
	if err != nil {
		return nil, readFailure(err)
	}
	result := &EdgesResult{Edges: edges, Silent: map[string]*fault.Error{}}
	g := newGroup(ctx)
	if in.Reach {
		if result.Routes, err = publishedRoutes(ctx, ""); err != nil {
			return nil, readFailure(err)
		}
		result.Unreached = map[string]map[string]string{}
		upstreams := upstreamsOf(result.Routes)
		for _, e := range edges {
			if e.Admitted.IsZero() || len(upstreams) == 0 {
				continue
			}
			g.add(workflow.ExecuteActivity(edgeStep(g.ctx, e.Name, "connect from "+e.Name, 0), edge.ReachUpstreams, upstreams), func(f workflow.Future) error {
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
		g.add(observeEdge(g.ctx, e.Name), func(f workflow.Future) error {
			var status fleet.EdgeStatus
			if err := edgeFault(f.Get(ctx, &status), e.Name); err != nil {
				result.Silent[e.Name] = attempt.FaultOf(err)
				return nil
			}
			e.Status, e.Seen = &status, workflow.Now(ctx)
			return nil
		})
	}
	_ = g.wait(ctx) // its handlers return no error
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
	edges, err := queryControl(ctx, "list edges", readTimeout, control.ListEdges)
	if err != nil || name == "" {
		return edges, err
	}
	edges = slices.DeleteFunc(edges, func(e fleet.EdgeState) bool { return e.Name != name })
	if len(edges) == 0 {
		return nil, fault.New(fault.NotFound, "no edge is called %s", name).WithHint("see the edges: mcp edge list")
	}
	return edges, nil
}

// observeEdge asks an edge for its status.
func observeEdge(ctx workflow.Context, name string) workflow.Future {
	return workflow.ExecuteActivity(edgeStep(ctx, name, "observe edge "+name, 0), edge.ObserveEdge)
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
	// URL is where clients reach it, such as "https://shop.example/api"; "" where a
	// URL does not name it, as with udp.
	URL string `json:"url,omitempty"`
}

// Routes reads the routes that edges serve.
func Routes(ctx workflow.Context, in RoutesInput) (*RoutesResult, error) {
	routes, err := publishedRoutes(ctx, in.Service)
	if err != nil {
		return nil, readFailure(err)
	}
	return &RoutesResult{Routes: routes}, nil
}

// publishedRoutes reads the routes that edges serve, of one service or of all.
func publishedRoutes(ctx workflow.Context, service string) ([]PublishedRoute, error) {
	found, err := callControl(ctx, "list what edges serve", readTimeout, control.ListPublications, oncontrol.ListPublicationsInput{Service: service})
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

// MaintainInput is whether edges answer for a service with a page that says so.
type MaintainInput struct {
	Service string `json:"service"`
	On      bool   `json:"on"`
}

// MaintainResult is what became of the publication, by edge.
type MaintainResult struct {
	Edges []EdgePublished `json:"edges"`
}

// Maintain begins or ends the maintenance of a service. It takes no lock: deploys keep
// the maintenance as it is.
func Maintain(ctx workflow.Context, in MaintainInput) (*MaintainResult, error) {
	made, err := callControl(ctx, "record the maintenance of "+in.Service, readTimeout, control.SetMaintenance, fleet.MaintenanceRequest(in))
	if err != nil {
		return nil, readFailure(err)
	}
	publications := []fleet.Publication{made.Publication}
	result := &MaintainResult{Edges: publishTo(ctx, made.Edges, publications)}
	if err := recordPublished(ctx, result.Edges, publications); err != nil {
		return nil, readFailure(err)
	}
	return result, nil
}

// AccessLogInput selects lines of the access log of a service.
type AccessLogInput struct {
	Service string `json:"service"`
	// Tail is the number of last lines wanted of each edge.
	Tail int `json:"tail"`
	// Since is how far back these may go; 0 for no limit.
	Since time.Duration `json:"since,omitempty"`
	// Where asks for the edges alone: a stream of each reads its log.
	Where bool `json:"where,omitempty"`
}

// AccessLogResult is the access log of a service, by edge.
type AccessLogResult struct {
	Edges []EdgeAccessLog `json:"edges"`
}

// EdgeAccessLog is the access log of a service at one edge.
type EdgeAccessLog struct {
	Edge string `json:"edge"`
	// Lines are JSON objects, oldest first.
	Lines []string `json:"lines"`
	// Error is why the edge did not answer; nil if it did.
	Error *fault.Error `json:"error,omitempty"`
}

// AccessLog reads the access log of a service at every admitted edge.
func AccessLog(ctx workflow.Context, in AccessLogInput) (*AccessLogResult, error) {
	edges, err := queryControl(ctx, "list edges", readTimeout, control.AdmittedEdges)
	if err != nil {
		return nil, readFailure(err)
	}
	asked := onedge.AccessLogInput{Service: in.Service, Tail: in.Tail, Bytes: maxAnswer / max(1, len(edges))}
	if in.Since > 0 {
		asked.Since = workflow.Now(ctx).Add(-in.Since)
	}
	result, g := &AccessLogResult{Edges: make([]EdgeAccessLog, len(edges))}, newGroup(ctx)
	for i, name := range edges {
		log := &result.Edges[i]
		log.Edge, log.Lines = name, []string{}
		if in.Where {
			continue
		}
		step := edgeStep(g.ctx, name, "read the access log of "+in.Service+" at "+name, 0)
		g.add(workflow.ExecuteActivity(step, edge.ReadAccessLog, asked), func(f workflow.Future) error {
			var read onedge.AccessLogResult
			if err := edgeFault(f.Get(ctx, &read), name); err != nil {
				log.Error = attempt.FaultOf(err)
				return nil
			}
			log.Lines = append(log.Lines, read.Lines...)
			return nil
		})
	}
	_ = g.wait(ctx) // its handlers return no error
	return result, nil
}
