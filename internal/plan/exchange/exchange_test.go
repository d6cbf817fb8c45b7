package exchange_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/exchange"
	"github.com/metacircular/mcp/servicedef"
)

// part is a component on rift; a thing with a slash is a volume, and one without it a
// static port.
func part(name string, things ...string) servicedef.Component {
	c := servicedef.Component{Name: name, Node: "rift", Image: "r.example/api:v1", Order: servicedef.StartFirst}
	for _, thing := range things {
		c.Order = servicedef.StopFirst
		if strings.Contains(thing, "/") {
			c.Volumes = append(c.Volumes, thing)
		} else {
			c.Ports = append(c.Ports, thing)
		}
	}
	return c
}

// released is the release of a definition, as deployment 3 left it.
func released(definition servicedef.Service) fleet.Release {
	r := fleet.Release{Service: definition.Name, Number: 3, Newest: 3, Active: true, Definition: &definition, Components: map[string]fleet.Member{}}
	for _, c := range definition.Components {
		r.Components[c.Name] = fleet.Member{
			Component: c.Name, Container: servicedef.ContainerNameFor(definition.Name, c.Name), Node: c.Node,
			Deployment: 3, Image: c.Image, Active: true,
		}
	}
	return r
}

func TestServicesThatTakeFromOneAnotherAreDeployedInTurn(t *testing.T) {
	named := func(service string, components ...servicedef.Component) servicedef.Service {
		return servicedef.Service{Name: service, Node: "rift", Active: true, Components: components}
	}
	from := func(service string, from, to []servicedef.Component) exchange.Movement {
		return exchange.Movement{Desired: named(service, to...), Release: released(named(service, from...))}
	}
	one := func(things ...string) []servicedef.Component { return []servicedef.Component{part("web", things...)} }
	at := func(hostnames ...string) []servicedef.Component {
		c := part("web")
		for _, name := range hostnames {
			c.Routes = append(c.Routes, servicedef.Route{Name: "http", Port: 443, Mode: "l7", Hostname: servicedef.Hostnames{name}})
		}
		return []servicedef.Component{c}
	}
	passthrough := part("web")
	passthrough.Routes = []servicedef.Route{{Name: "tls", Port: 443, Mode: "l4", Hostname: servicedef.Hostnames{"x.example"}}}
	gone := from("b", at("x.example"), nil)
	stopped := from("b", one("82:80"), one("81:80"))
	stopped.Desired.Active = false
	tests := map[string]struct {
		services []exchange.Movement
		want     string
		cycle    string
	}{
		"those that take nothing go together": {
			[]exchange.Movement{from("a", one("81:80"), one("81:80")), from("b", one("82:80"), one("83:80"))}, "[[a b]]", "",
		},
		"the one that gives goes first": {
			[]exchange.Movement{from("a", one("81:80"), one("82:80")), from("b", one("82:80", "data:/d"), one("83:80")), from("c", one(), one("data:/d"))},
			"[[b] [a c]]", "",
		},
		"one after another": {
			[]exchange.Movement{from("a", one("81:80"), one("82:80")), from("b", one("82:80"), one("83:80")), from("c", one("83:80"), one("84:80"))},
			"[[c] [b] [a]]", "",
		},
		"a first deploy takes from a release": {
			[]exchange.Movement{{Desired: named("a", one("82:80")...)}, from("b", one("82:80"), one())}, "[[b] [a]]", "",
		},
		"one that stops takes nothing": {
			[]exchange.Movement{from("a", one("81:80"), one()), stopped}, "[[a b]]", "",
		},
		"a hostname is given up first": {
			[]exchange.Movement{from("a", at(), at("x.example")), from("b", at("x.example"), at("y.example"))}, "[[b] [a]]", "",
		},
		"by a first deploy, for connections of TLS": {
			[]exchange.Movement{{Desired: named("a", passthrough)}, from("b", at("x.example"), at())}, "[[b] [a]]", "",
		},
		"by a service that is removed": {
			[]exchange.Movement{from("a", at(), at("x.example")), gone}, "[[b] [a]]", "",
		},
		"one that both want is for the registry to refuse": {
			[]exchange.Movement{from("a", at(), at("x.example")), from("b", at("x.example"), at("x.example"))}, "[[a b]]", "",
		},
		"hostnames in a circle": {
			[]exchange.Movement{from("a", at("x.example"), at("y.example")), from("b", at("y.example"), at("x.example"))}, "",
			"no service can be deployed first: a/web takes y.example:443 from b/web, and b/web takes x.example:443 from a/web",
		},
		"a circle": {
			[]exchange.Movement{from("a", one("81:80"), one("82:80")), from("b", one("82:80"), one("81:80")), from("c", one(), one())}, "",
			"no service can be deployed first: a/web takes tcp port 82 from b/web, and b/web takes tcp port 81 from a/web",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var names []string
			for _, m := range test.services {
				names = append(names, m.Desired.Name)
			}
			handovers := exchange.Between(test.services)
			for _, h := range handovers {
				require.Equal(t, strings.Contains(h.Thing, ".example:"), h.Claim, h)
			}
			groups, err := exchange.InTurn(names, handovers)
			if test.cycle != "" {
				require.EqualError(t, err, test.cycle)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, fmt.Sprint(groups))
		})
	}
}
