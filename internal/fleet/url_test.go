package fleet_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
)

func TestURLOfAnEndpoint(t *testing.T) {
	mapped := map[int]int{443: 8443, 80: 8080, 5432: 15432}
	tests := map[string]struct {
		endpoint fleet.Endpoint
		plain    bool
		ports    map[int]int
		want     string
	}{
		"https":                    {fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "shop.example"}, false, nil, "https://shop.example"},
		"a path":                   {fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "shop.example", Path: "/api"}, false, nil, "https://shop.example/api"},
		"another port":             {fleet.Endpoint{Port: 8443, Protocol: "http", Hostname: "shop.example"}, false, nil, "https://shop.example:8443"},
		"a port that is mapped":    {fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "shop.localhost", Path: "/api"}, false, mapped, "https://shop.localhost:8443/api"},
		"a port mapped to 443":     {fleet.Endpoint{Port: 8443, Protocol: "http", Hostname: "shop.example"}, false, map[int]int{8443: 443}, "https://shop.example"},
		"http":                     {fleet.Endpoint{Port: 80, Protocol: "http", Hostname: "shop.example"}, true, nil, "http://shop.example"},
		"http, mapped":             {fleet.Endpoint{Port: 80, Protocol: "http", Hostname: "shop.example"}, true, mapped, "http://shop.example:8080"},
		"http on the port of TLS":  {fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "shop.example"}, true, nil, "http://shop.example:443"},
		"http on another port":     {fleet.Endpoint{Port: 8080, Protocol: "http", Hostname: "shop.example"}, true, nil, "http://shop.example:8080"},
		"a wildcard":               {fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "*.shop.example"}, false, nil, "https://*.shop.example"},
		"http without a hostname":  {fleet.Endpoint{Port: 80, Protocol: "http"}, true, nil, "http://:80"},
		"tcp":                      {fleet.Endpoint{Port: 5432, Protocol: "tcp", Hostname: "db.example"}, false, nil, "tcp://db.example:5432"},
		"tcp, mapped, no hostname": {fleet.Endpoint{Port: 5432, Protocol: "tcp"}, false, mapped, "tcp://:15432"},
		"tcp on the port of https": {fleet.Endpoint{Port: 443, Protocol: "tcp", Hostname: "db.example"}, false, nil, "tcp://db.example:443"},
		"udp":                      {fleet.Endpoint{Port: 514, Protocol: "udp"}, false, nil, "udp://:514"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, test.endpoint.URL(test.plain, test.ports))
			require.Equal(t, test.want, fleet.EdgeRoute{Endpoint: test.endpoint, Plain: test.plain}.URL(test.ports))
		})
	}
}

func TestTheSameHostIsKnownByItsID(t *testing.T) {
	rift := fleet.Machine{ID: "1", Boot: "a"}
	require.True(t, rift.SameHost(fleet.Machine{ID: "1", Boot: "b"}))
	require.False(t, rift.SameHost(fleet.Machine{ID: "2", Boot: "a"}))
	require.False(t, fleet.Machine{}.SameHost(fleet.Machine{}), "unknown is not the same")
}
