package table_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/table"
	"github.com/metacircular/mcp/internal/fleet"
)

func l7(component string, endpoints ...fleet.Endpoint) fleet.EdgeRoute {
	return fleet.EdgeRoute{Component: component, Name: "web", Mode: "l7", Endpoints: endpoints}
}

func at(port int, host, path string) fleet.Endpoint {
	return fleet.Endpoint{Port: port, Hostname: host, Path: path}
}

var shop = fleet.Publication{Service: "shop", Version: 3, Routes: []fleet.EdgeRoute{
	l7("site", at(443, "shop.example", "")),
	l7("api", at(443, "shop.example", "/api")),
	l7("admin", at(443, "shop.example", "/api/admin")),
	l7("tenants", at(443, "*.shop.example", "")),
	l7("other", at(8080, "", "")),
	{Component: "db", Mode: "l4", Endpoints: []fleet.Endpoint{at(5432, "", "")}},
	{Component: "mail", Mode: "l4", Endpoints: []fleet.Endpoint{at(443, "mail.example", "")}},
	{Component: "dns", Mode: "l4", Protocol: "udp", Endpoints: []fleet.Endpoint{at(53, "", "")}},
}}

func TestHTTP(t *testing.T) {
	routes := table.New([]fleet.Publication{shop})
	for _, c := range []struct {
		port       int
		host, path string
		want       string
	}{
		{443, "shop.example", "/", "site"},
		{443, "Shop.Example.:443", "/x", "site"},
		{443, "shop.example", "/api", "api"},
		{443, "shop.example", "/api/", "api"},
		{443, "shop.example", "/apis", "site"},
		{443, "shop.example", "/api/admin/x", "admin"},
		{443, "shop.example", "/API", "site"},
		{443, "a.shop.example", "/", "tenants"},
		{443, "a.b.shop.example", "/", ""},
		{443, "example", "/", ""},
		{443, "", "/", ""},
		{443, "*.shop.example", "/", "tenants"},
		{443, "mail.example", "/", ""},
		{80, "shop.example", "/", ""},
		{8080, "anything", "/", "other"},
		{8080, "[::1]:8080", "/", "other"},
		{8080, "[::1]", "/", "other"},
	} {
		got := ""
		if r := routes.HTTP(c.port, c.host, c.path); r != nil {
			got = r.Component
		}
		require.Equal(t, c.want, got, "%d %s %s", c.port, c.host, c.path)
	}
}

func TestTCPAndUDP(t *testing.T) {
	routes := table.New([]fleet.Publication{shop})
	require.Equal(t, "db", routes.TCP(5432, "").Component)
	require.Equal(t, "db", routes.TCP(5432, "whatever.example").Component)
	require.Equal(t, "mail", routes.TCP(443, "MAIL.example").Component)
	require.Nil(t, routes.TCP(443, "shop.example"))
	require.Nil(t, routes.TCP(1, ""))
	require.Equal(t, "dns", routes.UDP(53).Component)
	require.Nil(t, routes.UDP(443))
	require.Nil(t, routes.UDP(1))
	require.Equal(t, []table.Port{
		{Number: 53, UDP: true}, {Number: 443, HTTP: true, TCP: true}, {Number: 5432, TCP: true}, {Number: 8080, HTTP: true},
	}, routes.Ports())
	require.Equal(t, []string{"*.shop.example", "shop.example"}, routes.Secure())
}

func TestTheNewerPublicationHasAnEndpoint(t *testing.T) {
	older := fleet.Publication{Service: "blog", Version: 2, Routes: []fleet.EdgeRoute{
		l7("old", at(443, "shop.example", ""), at(443, "blog.example", "")),
	}}
	for _, publications := range [][]fleet.Publication{{shop, older}, {older, shop}} {
		routes := table.New(publications)
		require.Equal(t, "site", routes.HTTP(443, "shop.example", "/").Component)
		require.Equal(t, "old", routes.HTTP(443, "blog.example", "/").Component)
		require.Equal(t, []table.Conflict{{Endpoint: at(443, "shop.example", ""), Served: "shop", Ignored: "blog"}}, routes.Conflicts())
	}
}

func TestTheZeroTableHasNoRoutes(t *testing.T) {
	var routes table.Table
	require.Nil(t, routes.HTTP(443, "shop.example", "/"))
	require.Nil(t, routes.TCP(443, ""))
	require.Nil(t, routes.UDP(443))
	require.Empty(t, routes.Ports())
}

func BenchmarkHTTP(b *testing.B) {
	routes := table.New([]fleet.Publication{shop})
	b.ReportAllocs()
	for b.Loop() {
		routes.HTTP(443, "shop.example", "/api/admin/x")
	}
}
