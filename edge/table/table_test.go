package table_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/table"
	"github.com/metacircular/mcp/internal/fleet"
)

func route(component string, endpoint fleet.Endpoint) fleet.EdgeRoute {
	return fleet.EdgeRoute{Components: []string{component}, Name: "web", Endpoint: endpoint}
}

func at(port int, host, path string) fleet.Endpoint {
	return fleet.Endpoint{Port: port, Protocol: fleet.ProtocolHTTP, Hostname: host, Path: path}
}

func plain(r fleet.EdgeRoute) fleet.EdgeRoute {
	r.Plain = true
	return r
}

var shop = fleet.Publication{Service: "shop", Version: 3, Routes: []fleet.EdgeRoute{
	route("site", at(443, "shop.example", "")),
	route("api", at(443, "shop.example", "/api")),
	route("admin", at(443, "shop.example", "/api/admin")),
	route("cart", at(443, "shop.example", "/car")),
	route("tenants", at(443, "*.shop.example", "")),
	plain(route("other", at(8080, "", ""))),
	route("db", fleet.Endpoint{Port: 5432, Protocol: fleet.ProtocolTCP}),
	route("mail", fleet.Endpoint{Port: 443, Protocol: fleet.ProtocolTCP, Hostname: "mail.example"}),
	route("mails", fleet.Endpoint{Port: 443, Protocol: fleet.ProtocolTCP, Hostname: "*.mail.example"}),
	route("dns", fleet.Endpoint{Port: 53, Protocol: fleet.ProtocolUDP}),
}}

func component(r *table.Route) string {
	if r == nil {
		return ""
	}
	return r.Components[0]
}

func TestHTTP(t *testing.T) {
	routes := table.New([]fleet.Publication{shop})
	for _, c := range []struct {
		port       int
		host, path string
		want       string
		fit        int
	}{
		{443, "shop.example", "/", "site", table.Exact},
		{443, "Shop.Example.:443", "/x", "site", table.Exact},
		{443, "shop.example", "/api", "api", table.Exact},
		{443, "shop.example", "/api/", "api", table.Exact},
		{443, "shop.example", "/apis", "site", table.Exact},
		{443, "shop.example", "/car/x", "cart", table.Exact},
		{443, "shop.example", "/api/admin/x", "admin", table.Exact},
		{443, "shop.example", "/API", "site", table.Exact},
		{443, "a.shop.example", "/", "tenants", table.Wildcard},
		{443, "a.b.shop.example", "/", "", table.None},
		{443, ".shop.example", "/", "", table.None},
		{443, "example", "/", "", table.None},
		{443, "", "/", "", table.None},
		{443, "*.shop.example", "/", "tenants", table.Wildcard},
		{443, "mail.example", "/", "", table.None},
		{80, "shop.example", "/", "", table.None},
		{8080, "anything", "/", "other", table.Any},
		{8080, "[::1]:8080", "/", "other", table.Any},
		{8080, "[::1]", "/", "other", table.Any},
	} {
		r, fit := routes.HTTP(c.port, table.Hostname(c.host), c.path)
		require.Equal(t, c.want, component(r), "%d %s %s", c.port, c.host, c.path)
		require.Equal(t, c.fit, fit, "%d %s %s", c.port, c.host, c.path)
	}
	for i, r := range routes.Routes() {
		require.Equal(t, i, r.Index)
	}
}

func TestTCPAndUDP(t *testing.T) {
	routes := table.New([]fleet.Publication{shop})
	require.Equal(t, "db", component(routes.TCP(5432, "")))
	require.Equal(t, "db", component(routes.TCP(5432, "whatever.example")))
	require.Equal(t, "mail", component(routes.TCP(443, "MAIL.example")))
	require.Equal(t, "mails", component(routes.TCP(443, "eu.mail.example")))
	require.Nil(t, routes.TCP(443, "shop.example"))
	require.Nil(t, routes.TCP(1, ""))
	require.Equal(t, "dns", component(routes.UDP(53)))
	require.Nil(t, routes.UDP(443))
	require.Nil(t, routes.UDP(1))
	require.Equal(t, []table.Port{
		{Number: 53, UDP: true},
		{Number: 443, HTTP: true, TLS: true, TCP: true, Names: []string{"*.mail.example", "mail.example"}},
		{Number: 5432, TCP: true, Bare: true},
		{Number: 8080, HTTP: true, Plain: true},
	}, routes.Ports())
	require.Equal(t, []string{"*.shop.example", "shop.example"}, routes.Secure())
}

func TestTheNewerPublicationHasAnEndpoint(t *testing.T) {
	older := fleet.Publication{Service: "blog", Version: 2, Routes: []fleet.EdgeRoute{
		route("old", at(443, "shop.example", "")), route("old", at(443, "blog.example", "")),
	}}
	for _, publications := range [][]fleet.Publication{{shop, older}, {older, shop}} {
		routes := table.New(publications)
		r, _ := routes.HTTP(443, "shop.example", "/")
		require.Equal(t, "site", component(r))
		r, _ = routes.HTTP(443, "blog.example", "/")
		require.Equal(t, "old", component(r))
		require.Equal(t, []table.Conflict{{Endpoint: at(443, "shop.example", ""), Served: "shop", Ignored: "blog"}}, routes.Conflicts())
	}
}

func TestAllows(t *testing.T) {
	for _, c := range []struct {
		allow  []string
		client string
		want   bool
	}{
		{nil, "192.0.2.1", true},
		{[]string{"192.0.2.0/24"}, "192.0.2.1", true},
		{[]string{"192.0.2.0/24"}, "::ffff:192.0.2.1", true},
		{[]string{"192.0.2.0/24"}, "198.51.100.1", false},
		{[]string{"2001:db8::/32", "198.51.100.1/32"}, "198.51.100.1", true},
		{[]string{"fe80::/10"}, "fe80::1%eth0", true},
		{[]string{"not a network"}, "192.0.2.1", false},
	} {
		p := fleet.Publication{Service: "shop", Routes: []fleet.EdgeRoute{{Endpoint: at(80, "", ""), Allow: c.allow}}}
		require.Equal(t, c.want, table.New([]fleet.Publication{p}).Routes()[0].Allows(netip.MustParseAddr(c.client)), "%+v", c)
	}
}

func TestTheZeroTableHasNoRoutes(t *testing.T) {
	var routes table.Table
	r, _ := routes.HTTP(443, "shop.example", "/")
	require.Nil(t, r)
	require.Nil(t, routes.TCP(443, ""))
	require.Nil(t, routes.UDP(443))
	require.Empty(t, routes.Ports())
}

func BenchmarkHTTP(b *testing.B) {
	for _, hostnames := range []int{1, 100, 1000} {
		publications := make([]fleet.Publication, hostnames)
		for i := range publications {
			publications[i] = fleet.Publication{Service: fmt.Sprint("s", i), Routes: []fleet.EdgeRoute{
				route("web", at(443, fmt.Sprintf("s%d.shop.example", i), "")),
				route("api", at(443, fmt.Sprintf("s%d.shop.example", i), "/api")),
			}}
		}
		routes, host := table.New(publications), fmt.Sprintf("s%d.shop.example", hostnames-1)
		b.Run(fmt.Sprint("hostnames=", hostnames), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r, _ := routes.HTTP(443, host, "/api/admin/x"); r == nil {
					b.Fatal("no route")
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for _, hostnames := range []int{1, 100, 1000} {
		publications := make([]fleet.Publication, hostnames)
		for i := range publications {
			publications[i] = fleet.Publication{Service: fmt.Sprint("s", i), Routes: []fleet.EdgeRoute{
				route("web", at(443, fmt.Sprintf("s%d.shop.example", i), "")),
			}}
		}
		b.Run(fmt.Sprint("hostnames=", hostnames), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.New(publications)
			}
		})
	}
}
