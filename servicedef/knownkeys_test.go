package servicedef_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

func TestKeys(t *testing.T) {
	const head = "name = \"shop\"\nnode = \"rift\"\n[[components]]\nname = \"api\"\nimage = \"r.example/api:v1\"\n"
	for text, want := range map[string][]string{
		"": {"image", "name"},
		"restart = \"unless-stopped\"\ndrain = \"1s\"\n":            {"image", "name"},
		"user = \"1000\"\nenv = { A = \"b\" }\nlog_size = \"1m\"\n": {"env", "image", "log_size", "name", "user"},
		"[components.health]\nhttp = \"/\"\nretries = 5\n[[components.routes]]\nname = \"a\"\nport = 80\n": {
			"health.http", "health.retries", "health.start_period", "image", "name", "routes.mode", "routes.name", "routes.port"},
	} {
		service, err := servicedef.Parse([]byte(head+text), "")
		require.NoError(t, err, text)
		keys := service.Components[0].Keys()
		require.Equal(t, want, keys, text)
		require.Empty(t, servicedef.UnknownKeys(keys))
	}
	require.Equal(t, []string{"privileged", "health.none", "routes", ""},
		servicedef.UnknownKeys([]string{"image", "privileged", "health.none", "health.http", "routes", ""}))
}

func TestWhatConcernsEdgesIsNotForNodes(t *testing.T) {
	text := edit(t, "# route", `mode = "l7"
hostname = ["shop.example", "*.shop.example", "shop.test"]
redirect_from = ["www.shop.example"]
path = "/api"
strip = true
tls = true
h2c = true
compress = true
basic_auth = { ann = "`+hash+`" }
allow = ["10.0.0.0/8"]
edge = true
container_port = 80
[[components.routes]]
name = "log"
port = 514
protocol = "udp"
edge = true`)
	api := parse(t, text).Components[0]
	require.Equal(t, []string{
		"image", "name", "routes.container_port", "routes.hostname", "routes.mode", "routes.name", "routes.port", "routes.protocol",
	}, slices.DeleteFunc(api.Keys(), func(key string) bool { return strings.HasPrefix(key, "health.") }))
	sent := api.ForNode()
	require.Equal(t, []servicedef.Route{
		{Name: "rest", Port: 8443, Mode: "l7", Hostname: servicedef.Hostnames{"shop.example"}, ContainerPort: 80},
		{Name: "log", Port: 514, Mode: "l4", Protocol: "udp"},
	}, sent.Routes)
	require.Equal(t, "shop.example", sent.ProbeHost())
	require.Len(t, api.Routes[0].Hostname, 3, "the definition stays as it is")
	require.Empty(t, servicedef.UnknownKeys([]string{"routes.path", "routes.basic_auth", "routes.tls", "routes.edge"}))
}

func TestTheHostOfAProbe(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		`hostname = "*.b.example"`: "",
		"hostname = [\"*.b.example\", \"b.example\"]":                                                      "b.example",
		"protocol = \"udp\"\n[[components.routes]]\nname = \"web\"\nport = 80\nhostname = \"web.example\"": "web.example",
		"protocol = \"udp\"": "",
	} {
		require.Equal(t, want, parse(t, edit(t, "# route", text)).Components[0].ProbeHost(), text)
	}
}
