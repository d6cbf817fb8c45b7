package inspect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
	"github.com/metacircular/mcp/workflows/reads"
)

// A deploy that failed has recorded its definition. Where the file was changed back, a
// plan finds no change, and status nothing that is pending.
func TestADefinitionThatWasChangedBackIsNotPending(t *testing.T) {
	const text = `name = "shop"
node = "rift"
active = true
[[components]]
name = "api"
image = "r.example/api:v1"
`
	released, err := servicedef.Parse([]byte(text), "shop.toml")
	require.NoError(t, err)
	for name, test := range map[string]struct {
		file    string
		pending bool
	}{
		"changed back":      {text, false},
		"changed":           {strings.Replace(text, "v1", "v2", 1), true},
		"not here":          {strings.Replace(text, "shop", "other", 1), true},
		"with mistakes now": {text + "x = 1\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "any.toml"), []byte(test.file), 0o600))
			read, err := servicedir.Read(dir)
			require.NoError(t, err)
			list := []serviceStatus{{Service: "shop", Pending: true}}
			settle(list, []fleet.Release{{Service: "shop", Definition: released}}, read, func(d servicedef.Service) (servicedef.Service, error) { return d, nil })
			require.Equal(t, test.pending, list[0].Pending)
		})
	}
}

func TestARouteHasTheURLsAtWhichEdgesServeIt(t *testing.T) {
	served := func(service, component, name, url string, redirect string) reads.PublishedRoute {
		return reads.PublishedRoute{Service: service, URL: url, EdgeRoute: fleet.EdgeRoute{Components: []string{component}, Name: name, Redirect: redirect}}
	}
	c := componentStatus{Name: "web", Routes: []routeStatus{
		{Route: fleet.Route{Name: "http", Port: 443, HostPort: 20001}}, {Route: fleet.Route{Name: "admin", Port: 81, HostPort: 20002}},
	}}
	addURLs("shop", &c, []reads.PublishedRoute{
		served("shop", "web", "http", "https://shop.example", ""),
		served("shop", "web", "http", "https://shop.test", ""),
		served("shop", "web", "http", "https://www.shop.example", "shop.example"),
		served("shop", "api", "http", "https://api.example", ""),
		served("blog", "web", "http", "https://blog.example", ""),
	})
	require.Equal(t, "https://shop.example", c.Routes[0].URL)
	require.Equal(t, "http:443→20001 https://shop.example https://shop.test admin:81→20002", routeList(c.Routes))
}

// Addresses are those that a client can use.
func TestTheMappingsOfPorts(t *testing.T) {
	require.Equal(t, "127.0.0.1:8080->80/tcp 0.0.0.0:53->53/udp [::1]:8081->81/tcp", mappings([]servicedef.Port{
		{IP: "127.0.0.1", Host: 8080, Container: 80, Protocol: "tcp"},
		{Host: 53, Container: 53, Protocol: "udp"},
		{IP: "::1", Host: 8081, Container: 81, Protocol: "tcp"},
	}))
}
