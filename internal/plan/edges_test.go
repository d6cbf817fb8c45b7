package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

var (
	riftMachine  = fleet.Machine{ID: "r", Boot: "1"}
	otherMachine = fleet.Machine{ID: "o", Boot: "1"}
)

// fronted is a service that runs as released, with a hostname that an edge on another
// host serves.
func fronted() plan.Input {
	definition := shop()
	definition.Components[0].Routes[0] = servicedef.Route{
		Name: "rest", Port: 443, Mode: "l7", Hostname: servicedef.Hostnames{"shop.example"}, Compress: true,
	}
	desired := definition
	desired.Components = slices.Clone(definition.Components)
	desired.Components[0].Routes = slices.Clone(definition.Components[0].Routes)
	r := released(definition)
	r.Edges = []fleet.EdgeHost{{Name: "front", Machine: otherMachine, Ports: map[int]int{443: 8443}}, {Name: "second", Machine: otherMachine}}
	r.Hosts = map[string]fleet.NodeHost{"rift": {Address: "10.0.0.7", Machine: riftMachine}}
	return plan.Input{Desired: desired, Release: r, Nodes: map[string]plan.Node{"rift": running(r, "rift")}, Digests: digests()}
}

// shownEdges renders what becomes of the endpoints: "~https://shop.example/api(api)".
func shownEdges(p plan.Plan) []string {
	signs := map[plan.Action]string{plan.Create: "+", plan.Replace: "~", plan.Keep: "=", plan.Remove: "-"}
	var all []string
	for _, c := range p.Edges {
		text := signs[c.Action] + c.URL + "(" + strings.Join(c.Components, " ") + ")"
		for _, change := range c.Changes {
			text += " " + change.Field
		}
		if c.Redirect != "" {
			text += " to " + c.Redirect
		}
		all = append(all, text)
	}
	return all
}

func TestAPlanShowsWhatChangesAtTheEdges(t *testing.T) {
	route := func(in *plan.Input) *servicedef.Route { return &in.Desired.Components[0].Routes[0] }
	tests := map[string]struct {
		change func(*plan.Input)
		steps  string
		want   []string
	}{
		"nothing": {func(*plan.Input) {}, "=api@rift =web@rift", []string{"=https://shop.example:8443(api)"}},
		"a new container keeps the endpoint": {
			func(in *plan.Input) { in.Desired.Components[0].User = "1000" },
			"~api@rift =web@rift", []string{"=https://shop.example:8443(api)"}},
		"another hostname": {
			func(in *plan.Input) { route(in).Hostname = servicedef.Hostnames{"store.example"} },
			"=api@rift =web@rift", []string{"-https://shop.example:8443(api)", "+https://store.example:8443(api)"}},
		"one more, a redirect and a path": {
			func(in *plan.Input) {
				route(in).Hostname = append(route(in).Hostname, "store.example")
				route(in).RedirectFrom, route(in).Path = []string{"www.shop.example"}, "/api"
			},
			"=api@rift =web@rift", []string{
				"-https://shop.example:8443(api)", "+https://shop.example:8443/api(api)", "+https://store.example:8443/api(api)",
				"+https://www.shop.example:8443/api(api) to shop.example",
			}},
		"another port": {
			func(in *plan.Input) { route(in).Port = 80 },
			"=api@rift =web@rift", []string{"+http://shop.example(api)", "-https://shop.example:8443(api)"}},
		"options": {
			func(in *plan.Input) {
				route(in).Compress, route(in).H2C, route(in).Allow = false, true, []string{"10.0.0.0/8"}
				route(in).BasicAuth = map[string]string{"ann": "$2y$10$hash"}
			},
			"=api@rift =web@rift", []string{"~https://shop.example:8443(api) h2c compress basic_auth.ann allow"}},
		"to another component": {
			func(in *plan.Input) {
				in.Desired.Components[1].Routes = []servicedef.Route{*route(in)}
				route(in).Hostname = nil
				route(in).Compress = false
			},
			"=api@rift ~web@rift", []string{"~https://shop.example:8443(web) components"}},
		"without a hostname": {
			func(in *plan.Input) { route(in).Hostname = nil },
			"=api@rift =web@rift", []string{"-https://shop.example:8443(api)"}},
		"a first deploy": {
			func(in *plan.Input) {
				in.Nodes = map[string]plan.Node{"rift": {Reachable: true}}
				in.Release = fleet.Release{Service: "shop", Edges: in.Release.Edges[1:], Hosts: in.Release.Hosts}
			},
			"+api@rift +web@rift", []string{"+https://shop.example(api)"}},
		"an undeploy": {
			func(in *plan.Input) { in.Desired = plan.Undeployed(in.Release) },
			"-api@rift -web@rift", []string{"-https://shop.example:8443(api)"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := fronted()
			test.change(&in)
			made, err := plan.Make(in)
			require.NoError(t, err)
			require.Equal(t, test.steps, actions(made))
			require.Equal(t, test.want, shownEdges(made))
			require.Empty(t, made.Warnings)
			require.Equal(t, name == "nothing", made.Unchanged())
			for _, c := range made.Edges {
				for _, change := range c.Changes {
					require.NotContains(t, change.From+change.To, "$2y$", "a hash is not shown")
				}
			}
		})
	}
}

func TestAnEndpointOfAnotherServiceIsRefused(t *testing.T) {
	in := fronted()
	in.Holders = []fleet.EndpointHolder{
		{Endpoint: fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "shop.example"}, Service: "shop"},
		{Endpoint: fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "shop.example", Path: "/api"}, Service: "api"},
	}
	_, err := plan.Make(in)
	require.NoError(t, err, "the service's own, and one below it")
	for _, holder := range []fleet.Endpoint{
		{Port: 443, Protocol: "http", Hostname: "shop.example"},
		{Port: 443, Protocol: "tcp", Hostname: "shop.example"},
	} {
		in.Holders = []fleet.EndpointHolder{{Endpoint: holder, Service: "store"}}
		_, err = plan.Make(in)
		var claimed *plan.ClaimedError
		require.ErrorAs(t, err, &claimed)
		require.EqualError(t, err, "shop.example:443 is held by service store")
	}
}

func TestANodeThatAnEdgeCannotReachIsRefused(t *testing.T) {
	at := func(address string) func(*plan.Input) {
		return func(in *plan.Input) {
			in.Release.Hosts = map[string]fleet.NodeHost{"rift": {Address: address, Machine: riftMachine}}
		}
	}
	both := func(changes ...func(*plan.Input)) func(*plan.Input) {
		return func(in *plan.Input) {
			for _, change := range changes {
				change(in)
			}
		}
	}
	first := func(in *plan.Input) { in.Release.Definition, in.Release.Components = nil, nil }
	const refused = "edge front cannot reach route rest of component api: node rift publishes its routes on 127.0.0.1, which other hosts cannot reach"
	tests := map[string]struct {
		change  func(*plan.Input)
		refused string
		warned  string
	}{
		"an address in a network":  {both(at("10.0.0.7"), first), "", ""},
		"one of IPv6":              {both(at("fd00::7"), first), "", ""},
		"a loopback address":       {both(at("127.0.0.1"), first), refused, ""},
		"one of IPv6 of that kind": {both(at("::1"), first), strings.ReplaceAll(refused, "127.0.0.1", "::1"), ""},
		"every address":            {both(at("0.0.0.0"), first), strings.ReplaceAll(refused, "127.0.0.1", "0.0.0.0"), ""},
		"a loopback address, and the edge shares the host": {both(at("127.0.0.1"), first, func(in *plan.Input) {
			in.Release.Edges = []fleet.EdgeHost{{Name: "front", Machine: fleet.Machine{ID: "r", Boot: "2"}}}
		}), "", ""},
		"one of two edges shares the host": {both(at("127.0.0.1"), first, func(in *plan.Input) {
			in.Release.Edges[1].Machine = riftMachine
		}), refused, ""},
		"a host that is not known": {both(at("127.0.0.1"), first, func(in *plan.Input) {
			in.Release.Edges, in.Release.Hosts = []fleet.EdgeHost{{Name: "front"}}, map[string]fleet.NodeHost{"rift": {Address: "127.0.0.1"}}
		}), refused, ""},
		"a node that is not known":         {both(first, func(in *plan.Input) { in.Release.Hosts = nil }), "", ""},
		"a service that is stopped":        {both(at("127.0.0.1"), first, func(in *plan.Input) { in.Desired.Active = false }), "", ""},
		"another component is deployed":    {both(at("127.0.0.1"), func(in *plan.Input) { in.Only = []string{"web"} }), "", ""},
		"a route that no edge serves":      {both(at("127.0.0.1"), first, func(in *plan.Input) { in.Desired.Components[0].Routes[0].Hostname = nil }), "", ""},
		"what the release has is repaired": {at("127.0.0.1"), "", refused},
		"one more route is not": {both(at("127.0.0.1"), func(in *plan.Input) {
			in.Desired.Components[0].Routes = append(in.Desired.Components[0].Routes, servicedef.Route{Name: "sql", Port: 5432, Mode: "l4", Edge: true})
		}), strings.ReplaceAll(refused, "rest", "sql"), ""},
		"a component that moves to such a node is not": {func(in *plan.Input) {
			in.Desired.Components[0].Node = "orion"
			in.Nodes["orion"] = plan.Node{Reachable: true}
			in.Release.Hosts["orion"] = fleet.NodeHost{Address: "127.0.0.1", Machine: fleet.Machine{ID: "orion"}}
		}, strings.ReplaceAll(refused, "rift", "orion"), ""},
		"no edge is admitted": {both(at("127.0.0.1"), first, func(in *plan.Input) { in.Release.Edges = nil }), "",
			"no edge is admitted, so that nothing serves the hostnames of shop: mcp edge admit NAME"},
		"no edge is admitted, and none is needed": {func(in *plan.Input) { *in = steady() }, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := fronted()
			test.change(&in)
			made, err := plan.Make(in)
			if test.refused != "" {
				var unreachable *plan.UnreachableError
				require.ErrorAs(t, err, &unreachable)
				require.EqualError(t, err, test.refused)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.warned, strings.Join(made.Warnings, "; "))
		})
	}
}
