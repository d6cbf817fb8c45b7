package servicedef_test

import (
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
	require.Equal(t, []string{"read_only", "health.none", "routes", ""},
		servicedef.UnknownKeys([]string{"image", "read_only", "health.none", "health.http", "routes", ""}))
}
