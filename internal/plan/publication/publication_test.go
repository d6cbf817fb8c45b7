package publication_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/servicedef"
)

// shop is a service of two components on one node.
func shop() servicedef.Service {
	return servicedef.Service{
		Name: "shop", Node: "rift", Active: true,
		Components: []servicedef.Component{
			{Name: "api", Node: "rift", Image: "r.example/api:v1", Order: servicedef.StartFirst,
				Routes: []servicedef.Route{{Name: "rest", Port: 8443, Mode: "l4"}}},
			{Name: "web", Node: "rift", Image: "r.example/web:v1", Order: servicedef.StartFirst, DependsOn: []string{"api"}},
		},
	}
}

// market has a site of two components behind one endpoint, an interface below a path,
// two routes of l4, and one that edges do not serve.
func market() servicedef.Service {
	site := servicedef.Route{
		Name: "http", Port: 443, Mode: "l7", Hostname: servicedef.Hostnames{"market.example", "*.market.example"},
		RedirectFrom: []string{"www.market.test"}, Compress: true,
	}
	plain := false
	return servicedef.Service{
		Name: "market", Node: "rift", Active: true,
		Components: []servicedef.Component{
			{Name: "web", Node: "rift", Routes: []servicedef.Route{site, {Name: "metrics", Port: 9100, Mode: "l7"}}},
			{Name: "web-two", Node: "orion", Routes: []servicedef.Route{site}},
			{Name: "api", Node: "rift", Routes: []servicedef.Route{{
				Name: "rest", Port: 443, Mode: "l7", Hostname: servicedef.Hostnames{"market.example"}, Path: "/api", Strip: true, H2C: true,
				BasicAuth: map[string]string{"ann": "$2y$10$hash"}, Allow: []string{"10.0.0.0/8"},
			}, {
				Name: "old", Port: 8080, Mode: "l7", Edge: true, TLS: &plain, Path: "/",
			}}},
			{Name: "db", Node: "orion", Routes: []servicedef.Route{
				{Name: "sql", Port: 5432, Mode: "l4", Edge: true, ProxyProtocol: "v2"},
				{Name: "tls", Port: 443, Mode: "l4", Hostname: servicedef.Hostnames{"db.market.example"}},
				{Name: "log", Port: 514, Mode: "l4", Protocol: "udp", Edge: true},
			}},
		},
	}
}

// published is what the registry has of a running market.
func published() fleet.PublicationSource {
	definition := market()
	member := func(component, node string, ports ...fleet.Route) fleet.Member {
		return fleet.Member{Component: component, Node: node, Active: true, Routes: ports}
	}
	return fleet.PublicationSource{
		Definition: &definition,
		Members: []fleet.Member{
			member("api", "rift", fleet.Route{Name: "old", HostPort: 10001}, fleet.Route{Name: "rest", HostPort: 10002}),
			member("db", "orion", fleet.Route{Name: "log", HostPort: 10003}, fleet.Route{Name: "sql", HostPort: 10004}, fleet.Route{Name: "tls", HostPort: 10005}),
			member("web", "rift", fleet.Route{Name: "http", HostPort: 10006}, fleet.Route{Name: "metrics", HostPort: 10007}),
			member("web-two", "orion", fleet.Route{Name: "http", HostPort: 10006}),
		},
		Addresses: map[string]string{"rift": "10.0.0.1", "orion": "fd00::2"},
	}
}

var (
	marketSite     = fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "market.example"}
	marketWild     = fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "*.market.example"}
	marketRedirect = fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "www.market.test"}
	marketAPI      = fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "market.example", Path: "/api"}
	marketOld      = fleet.Endpoint{Port: 8080, Protocol: "http"}
	marketSQL      = fleet.Endpoint{Port: 5432, Protocol: "tcp"}
	marketTLS      = fleet.Endpoint{Port: 443, Protocol: "tcp", Hostname: "db.market.example"}
	marketLog      = fleet.Endpoint{Port: 514, Protocol: "udp"}
)

func TestEndpointsAreInOrderAndEachOnce(t *testing.T) {
	want := []fleet.Endpoint{marketLog, marketSQL, marketOld, marketWild, marketTLS, marketSite, marketAPI, marketRedirect}
	require.Equal(t, want, publication.Endpoints(market()))
	stopped := market()
	stopped.Active = false
	require.Equal(t, want, publication.Endpoints(stopped), "a stopped service keeps its claims")
	require.Empty(t, publication.Endpoints(shop()), "no edge serves a route without a hostname")
	recorded := shop()
	recorded.Components[0].Routes[0].Hostname = servicedef.Hostnames{"Shop.Example"}
	require.Equal(t, []fleet.Endpoint{{Port: 8443, Protocol: "tcp", Hostname: "shop.example"}}, publication.Endpoints(recorded))
}

func TestPublication(t *testing.T) {
	site := fleet.EdgeRoute{
		Endpoint: marketSite, Components: []string{"web", "web-two"}, Name: "http", Compress: true,
		Upstreams: []string{"10.0.0.1:10006", "[fd00::2]:10006"},
	}
	wild := site
	wild.Endpoint = marketWild
	require.Equal(t, []fleet.EdgeRoute{
		{Endpoint: marketLog, Components: []string{"db"}, Name: "log", Upstreams: []string{"[fd00::2]:10003"}},
		{Endpoint: marketSQL, Components: []string{"db"}, Name: "sql", Upstreams: []string{"[fd00::2]:10004"}, ProxyProtocol: "v2"},
		{Endpoint: marketOld, Components: []string{"api"}, Name: "old", Upstreams: []string{"10.0.0.1:10001"}, Plain: true},
		wild,
		{Endpoint: marketTLS, Components: []string{"db"}, Name: "tls", Upstreams: []string{"[fd00::2]:10005"}},
		site,
		{
			Endpoint: marketAPI, Components: []string{"api"}, Name: "rest", Upstreams: []string{"10.0.0.1:10002"},
			Strip: true, H2C: true, BasicAuth: map[string]string{"ann": "$2y$10$hash"}, Allow: []string{"10.0.0.0/8"},
		},
		{Endpoint: marketRedirect, Components: []string{"web", "web-two"}, Name: "http", Redirect: "market.example"},
	}, publication.Routes(published()))
}

func TestPublicationOfWhatDoesNotRun(t *testing.T) {
	type routes map[fleet.Endpoint]fleet.EdgeRoute
	tests := map[string]struct {
		change func(*fleet.PublicationSource)
		check  func(*testing.T, routes)
	}{
		"a component that is stopped has no upstream": {
			func(s *fleet.PublicationSource) { s.Members[0].Active = false },
			func(t *testing.T, r routes) {
				require.Empty(t, r[marketAPI].Upstreams)
				require.False(t, r[marketAPI].Held)
				require.Len(t, r[marketSite].Upstreams, 2)
			}},
		"one of two that serve an endpoint": {
			func(s *fleet.PublicationSource) { s.Members[2].Active = false },
			func(t *testing.T, r routes) {
				require.Equal(t, []string{"[fd00::2]:10006"}, r[marketSite].Upstreams)
				require.Equal(t, []string{"web", "web-two"}, r[marketSite].Components)
			}},
		"a component that the release lacks": {
			func(s *fleet.PublicationSource) { s.Members = s.Members[1:] },
			func(t *testing.T, r routes) { require.Empty(t, r[marketAPI].Upstreams) }},
		"a node without an address": {
			func(s *fleet.PublicationSource) { delete(s.Addresses, "rift") },
			func(t *testing.T, r routes) {
				require.Empty(t, r[marketAPI].Upstreams)
				require.Equal(t, []string{"[fd00::2]:10006"}, r[marketSite].Upstreams)
			}},
		"a component that is held": {
			func(s *fleet.PublicationSource) { s.Held = []string{"api"} },
			func(t *testing.T, r routes) {
				require.True(t, r[marketAPI].Held)
				require.Empty(t, r[marketAPI].Upstreams, "the former upstream is to drain")
				require.False(t, r[marketSite].Held)
			}},
		"one of two is held, and the other serves": {
			func(s *fleet.PublicationSource) { s.Held = []string{"web"} },
			func(t *testing.T, r routes) {
				require.False(t, r[marketSite].Held)
				require.Equal(t, []string{"[fd00::2]:10006"}, r[marketSite].Upstreams)
			}},
		"one of two is held, and the other does not run": {
			func(s *fleet.PublicationSource) { s.Held, s.Members[3].Active = []string{"web"}, false },
			func(t *testing.T, r routes) { require.True(t, r[marketSite].Held) }},
		"both are held": {
			func(s *fleet.PublicationSource) { s.Held = []string{"web", "web-two"} },
			func(t *testing.T, r routes) {
				require.True(t, r[marketSite].Held)
				require.False(t, r[marketRedirect].Held, "a redirect needs no upstream")
			}},
		"maintenance": {
			func(s *fleet.PublicationSource) { s.Maintenance = true },
			func(t *testing.T, r routes) {
				require.True(t, r[marketSite].Maintenance)
				require.Len(t, r[marketSite].Upstreams, 2)
				require.False(t, r[marketRedirect].Maintenance)
			}},
		"a service that was undeployed": {
			func(s *fleet.PublicationSource) { s.Definition.Components, s.Members = nil, nil },
			func(t *testing.T, r routes) { require.Empty(t, r) }},
		"a service that was never released": {
			func(s *fleet.PublicationSource) { *s = fleet.PublicationSource{} },
			func(t *testing.T, r routes) { require.Empty(t, r) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			source, found := published(), routes{}
			test.change(&source)
			for _, r := range publication.Routes(source) {
				found[r.Endpoint] = r
			}
			test.check(t, found)
		})
	}
}

// What its own host alone reaches is for an edge on that host: another one would reach
// itself.
func TestWhatAnEdgeOfAnotherHostCannotReach(t *testing.T) {
	source := published()
	source.Addresses = map[string]string{"rift": "127.0.0.1", "orion": "10.0.0.2"}
	source.Machines = map[string]string{"rift": "r", "orion": "o"}
	p := fleet.Publication{Service: "market", Version: 1, Routes: publication.Routes(source)}
	site := func(p fleet.Publication) fleet.EdgeRoute {
		for _, r := range p.Routes {
			if r.Endpoint == marketSite {
				return r
			}
		}
		return fleet.EdgeRoute{}
	}
	require.Equal(t, map[string]string{"127.0.0.1:10006": "r"}, site(p).Local)

	near, unreachable := p.From(fleet.Machine{ID: "r"})
	require.Empty(t, unreachable)
	require.Equal(t, []string{"127.0.0.1:10006", "10.0.0.2:10006"}, site(near).Upstreams)
	require.Equal(t, p.Upstreams(), near.Upstreams())
	far, unreachable := p.From(fleet.Machine{ID: "o"})
	require.Equal(t, []string{"127.0.0.1:10001", "127.0.0.1:10006", "127.0.0.1:10002"}, unreachable)
	require.Equal(t, []string{"10.0.0.2:10006"}, site(far).Upstreams)
	require.Equal(t, []string{"127.0.0.1:10006", "10.0.0.2:10006"}, site(p).Upstreams, "the publication stays as it is")
	require.Equal(t, p.Version, far.Version)
	again, unreachable := far.From(fleet.Machine{ID: "o"})
	require.Equal(t, far, again)
	require.Len(t, unreachable, 3)

	source.Machines = nil
	p.Routes = publication.Routes(source)
	unknown, _ := p.From(fleet.Machine{})
	require.Equal(t, []string{"10.0.0.2:10006"}, site(unknown).Upstreams, "two that are not known are not one")
}
