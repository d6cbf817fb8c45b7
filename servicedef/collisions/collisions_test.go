package collisions_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/collisions"
	"github.com/metacircular/mcp/servicedef/servicedeftest"
)

func TestCollisions(t *testing.T) {
	load := func(text, file string) *servicedef.Service {
		s, err := servicedef.Parse([]byte(text), file)
		require.NoError(t, err)
		return s
	}
	a := load(servicedeftest.Minimal("a", "b"), "a.toml")
	ab := load(servicedeftest.Minimal("a-b", "a-b"), "ab.toml")
	require.EqualError(t, collisions.Containers([]*servicedef.Service{a, ab}),
		"ab.toml: components[0].name: component a-b of service a-b makes a container a-b on node rift, and so does component b of service a (a.toml)")
	require.NoError(t, collisions.Containers([]*servicedef.Service{a, load(servicedeftest.Minimal("b", "a"), "b.toml")}))
	ab.Components[0].Node = "orion"
	require.NoError(t, collisions.Containers([]*servicedef.Service{a, ab}), "on another node")

	within := load(servicedeftest.Minimal("a", "b"), "")
	within.Components = append(within.Components, within.Components[0])
	require.ErrorContains(t, collisions.Containers([]*servicedef.Service{within}), "component b of service a makes a container a-b")
}

func TestPortCollisionsAreBetweenServicesOfOneNode(t *testing.T) {
	service := func(name, node string, ports ...string) *servicedef.Service {
		return &servicedef.Service{Name: name, File: name + ".toml", Components: []servicedef.Component{{Name: "web", Node: node, Ports: ports}}}
	}
	shop := service("shop", "rift", "127.0.0.1:80:8080", "53:53/udp")
	for name, test := range map[string]struct {
		other *servicedef.Service
		want  string
	}{
		"the same port, at another address": {service("blog", "rift", "79-81:79-81"), "host port 80/tcp on node rift is taken by service shop (shop.toml)"},
		"another protocol":                  {service("blog", "rift", "53:53"), ""},
		"another node":                      {service("blog", "orion", "80:80"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := collisions.Ports([]*servicedef.Service{shop, test.other})
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			var found servicedef.Errors
			require.ErrorAs(t, err, &found)
			require.Len(t, found, 1)
			require.Equal(t, test.want, found[0].Message)
			require.Equal(t, "blog.toml", found[0].File)
			require.Equal(t, "components[0].ports[0]", found[0].Key)
		})
	}
}

func TestEndpointCollisionsAreBetweenServices(t *testing.T) {
	service := func(name string, routes ...servicedef.Route) *servicedef.Service {
		return &servicedef.Service{Name: name, File: name + ".toml", Components: []servicedef.Component{{Name: "web", Node: name, Routes: routes}}}
	}
	http := func(path string, hostnames ...string) servicedef.Route {
		return servicedef.Route{Name: "http", Port: 443, Mode: "l7", Hostname: hostnames, Path: path}
	}
	redirect := http("", "blog.example")
	redirect.RedirectFrom = []string{"shop.example"}
	shop := service("shop", http("", "shop.example", "*.shop.example"), servicedef.Route{Name: "sql", Port: 5432, Mode: "l4", Edge: true})
	for name, test := range map[string]struct {
		routes []servicedef.Route
		want   []string
	}{
		"one of several":     {[]servicedef.Route{http("/", "blog.example", "shop.example")}, []string{"shop.example:443 is claimed by service shop (shop.toml)"}},
		"each of them":       {[]servicedef.Route{http("", "shop.example", "*.shop.example")}, []string{"shop.example:443 is claimed by service shop (shop.toml)", "*.shop.example:443 is claimed by service shop (shop.toml)"}},
		"a redirect":         {[]servicedef.Route{redirect}, []string{"shop.example:443 is claimed by service shop (shop.toml)"}},
		"TLS as it is":       {[]servicedef.Route{{Name: "tls", Port: 443, Mode: "l4", Hostname: servicedef.Hostnames{"shop.example"}}}, []string{"shop.example:443/tcp is claimed by service shop (shop.toml)"}},
		"a port of tcp":      {[]servicedef.Route{{Name: "sql", Port: 5432, Mode: "l4", Edge: true}}, []string{":5432/tcp is claimed by service shop (shop.toml)"}},
		"that port, of udp":  {[]servicedef.Route{{Name: "sql", Port: 5432, Mode: "l4", Edge: true, Protocol: "udp"}}, nil},
		"another path":       {[]servicedef.Route{http("/blog", "shop.example")}, nil},
		"below the wildcard": {[]servicedef.Route{http("", "blog.shop.example")}, nil},
		"no edge":            {[]servicedef.Route{{Name: "sql", Port: 5432, Mode: "l4"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := collisions.Endpoints([]*servicedef.Service{shop, service("blog", test.routes...)})
			var found servicedef.Errors
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorAs(t, err, &found)
			var messages []string
			for _, p := range found {
				messages = append(messages, p.Message)
				require.Equal(t, "blog.toml", p.File)
				require.Equal(t, "components[0].routes[0]", p.Key)
			}
			require.Equal(t, test.want, messages)
		})
	}
}
