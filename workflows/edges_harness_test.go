package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// fakeEdges is what the harness has of edges.
type fakeEdges struct {
	begun   servicedef.Service // that of the deployment
	interim bool
	last    fleet.Publication // the newest of the shop
	holders []fleet.EndpointHolder
	// unreached are the problems of upstreams that no edge reaches.
	unreached map[string]string
	// silent is how often no host answers at the new upstreams.
	silent int
	// busy are how many requests remain at upstreams that are drained, by upstream.
	busy map[string]int
	// drained are how long the edges were to drain, and recorded what was recorded.
	drained  []time.Duration
	recorded oncontrol.RecordPublishedInput
	// observed are the observations of edges, lacking and remake what follows from them.
	observed []fleet.EdgeObservation
	lacking  []fleet.Publication
	remake   []string
}

// fronted sets up a definition that is deployed and runs, behind two edges.
func (s *harness) fronted(in workflows.DeployInput) {
	s.released(in)
	s.front()
	for i, c := range in.Definition.Components {
		m := s.release.Components[c.Name]
		for j, r := range c.Routes {
			m.Routes = append(m.Routes, fleet.Route{Name: r.Name, Port: r.Port, Mode: r.Mode, HostPort: 19000 + 10*i + j})
		}
		s.release.Components[c.Name] = m
	}
	s.edges.last = fleet.Publication{Service: "shop", Version: 1, Routes: publication.Routes(publication.Released(s.release))}
}

// front sets up two edges.
func (s *harness) front() {
	s.release.Edges = []fleet.EdgeHost{{Name: "edge1"}, {Name: "edge2"}}
	s.release.Hosts = map[string]fleet.NodeHost{"rift": {Address: "10.0.0.1"}, "orion": {Address: "10.0.0.2"}}
}

// shopfront is the shop with a hostname for a route of each component.
func shopfront() workflows.DeployInput {
	in := shop()
	in.Definition.Components[0].Routes = []servicedef.Route{
		{Name: "rest", Port: 443, Mode: "l7", Hostname: servicedef.Hostnames{"shop.example"}, Path: "/api"},
	}
	in.Definition.Components[1].Routes = []servicedef.Route{{Name: "http", Port: 443, Mode: "l7", Hostname: servicedef.Hostnames{"shop.example"}}}
	for i := range in.Definition.Components {
		in.Definition.Components[i].Drain = servicedef.Duration(5 * time.Second)
	}
	return in
}

// publishing makes the shop's next publication.
func (s *harness) publishing(source fleet.PublicationSource) *fleet.Publishing {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.edges.last.Upstreams()
	s.edges.last = fleet.Publication{Service: "shop", Version: s.edges.last.Version + 1, Routes: publication.Routes(source)}
	made := &fleet.Publishing{Publication: s.edges.last}
	for _, e := range s.release.Edges {
		made.Edges = append(made.Edges, e.Name)
	}
	for _, u := range before {
		if !slices.Contains(s.edges.last.Upstreams(), u) {
			made.Former = append(made.Former, u)
		}
	}
	return made
}

// commitRoutes is what a commit publishes.
func (s *harness) commitRoutes(in fleet.CommitRequest) *fleet.Publishing {
	definition := s.edges.begun
	if in.Definition != nil {
		definition = *in.Definition
	}
	if !definition.AtEdges() && len(s.edges.last.Routes) == 0 {
		return nil
	}
	return s.publishing(publication.Following(s.release, &definition, in.Members))
}

// describe describes a publication: the upstreams of each endpoint, or why it has none.
func describe(p fleet.Publication) string {
	var parts []string
	for _, r := range p.Routes {
		text := strings.Join(r.Upstreams, "+")
		switch {
		case r.Held:
			text = "held"
		case r.Maintenance:
			text = "maintained"
		case text == "":
			text = "none"
		}
		parts = append(parts, r.Endpoint.Path+"="+text)
	}
	return fmt.Sprintf("%s@%d[%s]", p.Service, p.Version, strings.Join(parts, " "))
}

// edgeOf is the edge on which an activity runs.
func edgeOf(ctx context.Context) string {
	return strings.TrimPrefix(activity.GetInfo(ctx).TaskQueue, "edge-")
}

func (s *harness) registerEdges() {
	add := func(name string, run any) {
		s.env.RegisterActivityWithOptions(run, activity.RegisterOptions{Name: name})
	}
	add("EndpointHolders", func(ctx context.Context, endpoints []fleet.Endpoint) ([]fleet.EndpointHolder, error) {
		return s.edges.holders, s.call(ctx, fmt.Sprint(len(endpoints)))
	})
	add("MakePublication", func(ctx context.Context, in fleet.PublishRequest) (fleet.Publishing, error) {
		source := publication.Released(s.release)
		source.Held = in.Held
		source.Members = slices.Clone(source.Members)
		for i, m := range source.Members {
			source.Members[i].Active = m.Active && !slices.Contains(in.Stopped, m.Component)
		}
		if err := s.call(ctx, fmt.Sprintf("%s held%v stopped%v", in.Service, in.Held, in.Stopped)); err != nil {
			return fleet.Publishing{}, err
		}
		return *s.publishing(source), nil
	})
	add("SetMaintenance", func(ctx context.Context, in fleet.MaintenanceRequest) (fleet.Publishing, error) {
		if err := s.call(ctx, fmt.Sprintf("%s %t", in.Service, in.On)); err != nil {
			return fleet.Publishing{}, err
		}
		source := publication.Released(s.release)
		source.Maintenance = in.On
		return *s.publishing(source), nil
	})
	add("ListPublications", func(ctx context.Context, in oncontrol.ListPublicationsInput) (oncontrol.ListPublicationsResult, error) {
		return oncontrol.ListPublicationsResult{Publications: []fleet.Publication{s.edges.last}}, s.call(ctx, in.Service)
	})
	add("RecordPublished", func(ctx context.Context, in oncontrol.RecordPublishedInput) error {
		s.mu.Lock()
		s.edges.recorded = in
		s.mu.Unlock()
		var parts []string
		for _, a := range in.Acks {
			parts = append(parts, fmt.Sprintf("%s has %s@%d", a.Edge, a.Service, a.Version))
		}
		for _, m := range in.Misses {
			parts = append(parts, m.Edge+" lacks "+m.Service)
		}
		return s.call(ctx, strings.Join(parts, ", "))
	})
	add("RecordAnnouncement", func(ctx context.Context, in fleet.EdgeRecord) (fleet.EdgeAnswer, error) {
		return fleet.EdgeAnswer{Admitted: true, Publications: []fleet.Publication{s.edges.last}}, s.call(ctx, in.Name)
	})
	add("PinEdge", func(ctx context.Context, in fleet.EdgeAdmission) (fleet.EdgeState, error) {
		return fleet.EdgeState{EdgeRecord: fleet.EdgeRecord{Name: in.Edge, Key: "age1announced"}}, s.call(ctx, in.Edge)
	})
	add("UseStorage", func(ctx context.Context, in oncontrol.UseStorageInput) (fleet.StorageAnswer, error) {
		return fleet.StorageAnswer{Value: []byte("value")}, s.call(ctx, in.Request.Edge+" in "+in.Run)
	})
	add("ForgetEdge", func(ctx context.Context, edge string) error { return s.call(ctx, edge) })
	add("ListEdges", func(ctx context.Context) ([]fleet.EdgeState, error) {
		var edges []fleet.EdgeState
		for _, e := range s.release.Edges {
			edges = append(edges, fleet.EdgeState{EdgeRecord: fleet.EdgeRecord{Name: e.Name, Ports: e.Ports}, Admitted: time.Unix(1, 0)})
		}
		return append(edges, fleet.EdgeState{EdgeRecord: fleet.EdgeRecord{Name: "stranger"}}), s.call(ctx, "")
	})
	add("AdmittedEdges", func(context.Context) ([]string, error) {
		var names []string
		for _, e := range s.release.Edges {
			names = append(names, e.Name)
		}
		return names, nil
	})
	add("MissingAt", func(ctx context.Context, in oncontrol.MissingAtInput) (oncontrol.MissingAtResult, error) {
		if in.After != "" {
			return oncontrol.MissingAtResult{Publications: []fleet.Publication{{Service: "zoo", Version: 7}}}, s.call(ctx, in.After)
		}
		return oncontrol.MissingAtResult{Publications: []fleet.Publication{s.edges.last}, More: true}, s.call(ctx, "")
	})
	add("RecordEdgeObservation", func(ctx context.Context, in fleet.EdgeObservation) (oncontrol.RecordEdgeObservationResult, error) {
		s.mu.Lock()
		s.edges.observed = append(s.edges.observed, in)
		s.mu.Unlock()
		result := oncontrol.RecordEdgeObservationResult{Remake: s.edges.remake}
		if in.Status != nil {
			result.Missing = s.edges.lacking
		}
		return result, s.call(ctx, in.Edge)
	})
	add("FetchImage", func(ctx context.Context, in onnode.RunContainerInput) error {
		return s.call(ctx, in.Component.Image)
	})
	add("PublishRoutes", func(ctx context.Context, in onedge.PublishRoutesInput) (onedge.PublishRoutesResult, error) {
		var result onedge.PublishRoutesResult
		var parts []string
		for _, p := range in.Publications {
			parts = append(parts, describe(p))
			result.Acks = append(result.Acks, fleet.EdgeAck{Edge: "forged", Service: p.Service, Version: p.Version})
		}
		return result, s.call(ctx, edgeOf(ctx)+" "+strings.Join(parts, " "))
	})
	add("DrainRoute", func(ctx context.Context, in onedge.DrainRouteInput) (onedge.DrainRouteResult, error) {
		s.mu.Lock()
		s.edges.drained = append(s.edges.drained, in.Drain)
		s.mu.Unlock()
		return onedge.DrainRouteResult{Remaining: s.edges.busy}, s.call(ctx, edgeOf(ctx)+" "+strings.Join(in.Upstreams, "+"))
	})
	add("ReachUpstreams", func(ctx context.Context, upstreams []string) (onedge.ReachUpstreamsResult, error) {
		result := onedge.ReachUpstreamsResult{Problems: s.edges.unreached}
		if s.edges.silent > 0 {
			s.edges.silent--
			result = onedge.ReachUpstreamsResult{Problems: map[string]string{upstreams[0]: "i/o timeout"}, Silent: upstreams[:1]}
		}
		return result, s.call(ctx, edgeOf(ctx)+" "+strings.Join(upstreams, "+"))
	})
	add("ObserveEdge", func(ctx context.Context) (fleet.EdgeStatus, error) {
		return fleet.EdgeStatus{Listening: []int{443}}, s.call(ctx, edgeOf(ctx))
	})
	add("ReadAccessLog", func(ctx context.Context, in onedge.AccessLogInput) (onedge.AccessLogResult, error) {
		return onedge.AccessLogResult{Lines: []string{`{"at":"` + edgeOf(ctx) + `"}`}}, s.call(ctx, fmt.Sprint(edgeOf(ctx), " ", in.Tail))
	})
}
