package registry_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/servicedef"
)

// fronted is a registry with a node, rift at 10.0.0.1, and edges that are admitted.
type fronted struct {
	t       testing.TB
	store   *registry.Store
	address string
}

func newFronted(t testing.TB, edges ...string) *fronted {
	t.Helper()
	store, address := newStore(t)
	record(t, store, fleet.NodeRecord{Name: "rift", Address: "10.0.0.1"})
	f := &fronted{t, store, address}
	for _, name := range edges {
		f.admit(name)
	}
	return f
}

// admit admits an edge by its key, before it has announced itself.
func (f *fronted) admit(name string) {
	f.t.Helper()
	_, err := f.store.AdmitEdge(f.t.Context(), fleet.EdgeAdmission{Edge: name, Key: keyOf(name)})
	require.NoError(f.t, err)
}

// keyOf is the key of an edge: the registry compares keys and reads none.
func keyOf(edge string) string { return "age1" + edge }

// routed is a service with one component, which edges serve at a hostname on port 443.
func routed(service, hostname string) servicedef.Service {
	d := definition(service, "web")
	d.Components[0].Routes = []servicedef.Route{{Name: "http", Port: 443, Mode: "l7", Hostname: servicedef.Hostnames{hostname}}}
	return d
}

// claiming is the request to open a deployment of a definition, with its claims.
func claiming(d servicedef.Service) fleet.BeginRequest {
	r := beginRequest(d)
	r.Claims = publication.Endpoints(d)
	return r
}

// underWay is a deployment under way.
type underWay struct {
	f          *fronted
	definition servicedef.Service
	number     int
	run        string
	interim    bool
	addresses  map[string]string // where its nodes publish routes
}

func (f *fronted) begin(d servicedef.Service) *underWay {
	f.t.Helper()
	r := claiming(d)
	result, err := f.store.BeginDeployment(f.t.Context(), r)
	require.NoError(f.t, err)
	return &underWay{f, d, result.Number, r.RunID, result.Interim, nil}
}

// commit makes it the release, with its containers at host ports in the order of the
// components; 0 is one that was not started by it.
func (b *underWay) commit(ports ...int) *fleet.Publishing {
	b.f.t.Helper()
	made, err := b.tryCommit(ports...)
	require.NoError(b.f.t, err)
	return made
}

func (b *underWay) tryCommit(ports ...int) (*fleet.Publishing, error) {
	var members []fleet.Member
	for i, port := range ports {
		c := b.definition.Components[i]
		m := member(b.definition.Name, c.Name, b.number)
		m.Run, m.Active = b.run, b.definition.Active
		for _, r := range c.Routes {
			m.Routes = append(m.Routes, fleet.Route{Name: r.Name, Port: r.Port, Mode: r.Mode, HostPort: port})
		}
		members = append(members, m)
	}
	committed, err := b.f.store.CommitRelease(b.f.t.Context(), fleet.CommitRequest{
		Service: b.definition.Name, Deployment: b.number, Run: b.run, Active: b.definition.Active, Members: members, Succeeds: len(members) > 0,
		Addresses: b.addresses,
	}, publication.Routes)
	return committed.Publishing, err
}

// finish closes it and lets its ports rest, for no time.
func (b *underWay) finish(outcome string) {
	b.f.t.Helper()
	require.NoError(b.f.t, b.f.store.FinishDeployment(b.f.t.Context(), fleet.FinishRequest{
		Service: b.definition.Name, Deployment: b.number, Run: b.run, Outcome: outcome, ReleasePorts: true, PortRest: 0,
	}))
}

// publish publishes for it.
func (b *underWay) publish(r fleet.PublishRequest) (fleet.Publishing, error) {
	r.Service, r.Deployment, r.Run = b.definition.Name, b.number, b.run
	return b.f.store.Publish(b.f.t.Context(), r, publication.Routes)
}

// release deploys a definition, with the container of its component at a host port.
func (f *fronted) release(d servicedef.Service, port int) *fleet.Publishing {
	f.t.Helper()
	b := f.begin(d)
	made := b.commit(port)
	b.finish("succeeded")
	return made
}

// undeploy leaves nothing of a service.
func (f *fronted) undeploy(service string) *fleet.Publishing {
	f.t.Helper()
	b := f.begin(servicedef.Service{Name: service, Node: "rift", Components: []servicedef.Component{}})
	made := b.commit()
	b.finish("succeeded")
	return made
}

// ack acknowledges a publication.
func (f *fronted) ack(edge string, p fleet.Publication, problems ...string) {
	f.t.Helper()
	require.NoError(f.t, f.store.RecordAcks(f.t.Context(), []fleet.EdgeAck{{Edge: edge, Service: p.Service, Version: p.Version, Problems: problems}}))
}

// announce announces an edge with what it has, by service.
func (f *fronted) announce(edge string, versions map[string]int64) (fleet.EdgeAnswer, error) {
	return f.store.AnnounceEdge(f.t.Context(), fleet.EdgeRecord{
		Name: edge, Key: keyOf(edge), Version: "v1", Hostname: edge + ".example", Addresses: []string{"192.0.2.1"},
		Ports: map[int]int{443: 8443}, Machine: fleet.Machine{ID: "m-" + edge, Boot: "b1"}, Versions: versions,
	})
}

// edge is the state of an edge.
func (f *fronted) edge(name string) fleet.EdgeState {
	f.t.Helper()
	edges, err := f.store.Edges(f.t.Context())
	require.NoError(f.t, err)
	for _, e := range edges {
		if e.Name == name {
			return e
		}
	}
	require.Fail(f.t, "no edge "+name)
	return fleet.EdgeState{}
}

// holders are the services that hold endpoints on port 443, by hostname.
func (f *fronted) holders(hostnames ...string) map[string]string {
	f.t.Helper()
	var endpoints []fleet.Endpoint
	for _, h := range hostnames {
		endpoints = append(endpoints, site(h))
	}
	found, err := f.store.EndpointHolders(f.t.Context(), endpoints)
	require.NoError(f.t, err)
	holders := map[string]string{}
	for _, h := range found {
		holders[h.Endpoint.Hostname] = h.Service
	}
	return holders
}

func site(hostname string) fleet.Endpoint {
	return fleet.Endpoint{Port: 443, Protocol: fleet.ProtocolHTTP, Hostname: hostname}
}

// conflict requires an error to be a Conflict that has the texts.
func conflict(t testing.TB, err error, texts ...string) {
	t.Helper()
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	for _, text := range texts {
		require.Contains(t, fmt.Sprint(err, fault.Of(err).Hint), text)
	}
}

// newest is a time that a registry may give as a version.
func newest() int64 { return time.Now().UnixMicro() }
