package config_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/config"
)

func TestTemporalOptions(t *testing.T) {
	profiles := write(t, t.TempDir(), "temporal.toml", `
		[profile.default]
		address = "default:7233"
		api_key = "key"
		[profile.prod]
		address = "prod:7233"
		namespace = "fleet"
		[profile.bare]
		namespace = "bare"`)
	const here = "[temporal]\naddress = \"here:7233\"\nnamespace = \"mine\"\n"
	for _, test := range []struct {
		name, text         string
		env                []string
		address, namespace string
	}{
		{"nothing configured", "", []string{"TEMPORAL_CONFIG_FILE", "/none"}, "127.0.0.1:7233", "default"},
		{"the address here", here, nil, "here:7233", "mine"},
		{"a variable over it", here, []string{"TEMPORAL_ADDRESS", "there:7233"}, "there:7233", "mine"},
		{"a namespace by variable", here, []string{"TEMPORAL_NAMESPACE", "theirs"}, "here:7233", "theirs"},
		{"the default profile without an address here", "", nil, "default:7233", "default"},
		{"a profile named here", here + "profile = \"prod\"", nil, "prod:7233", "fleet"},
		{"a profile named by a variable", here, []string{"TEMPORAL_PROFILE", "prod"}, "prod:7233", "fleet"},
		{"a profile that leaves the address open", here + "profile = \"bare\"", nil, "here:7233", "bare"},
	} {
		t.Run(test.name, func(t *testing.T) {
			pairs := append([]string{"TEMPORAL_CONFIG_FILE", profiles}, test.env...)
			c, err := config.Load(write(t, t.TempDir(), "mcp.toml", test.text), env(pairs...))
			require.NoError(t, err)
			options, err := c.TemporalOptions()
			require.NoError(t, err)
			require.Equal(t, test.address, options.HostPort)
			require.Equal(t, test.namespace, options.Namespace)
		})
	}

	t.Run("another server never receives the default profile's key", func(t *testing.T) {
		c, err := config.Load(write(t, t.TempDir(), "mcp.toml", here), env("TEMPORAL_CONFIG_FILE", profiles))
		require.NoError(t, err)
		options, err := c.TemporalOptions()
		require.NoError(t, err)
		require.Nil(t, options.Credentials)
		require.Nil(t, options.ConnectionOptions.TLS)
	})

	t.Run("a missing profile is named", func(t *testing.T) {
		c, err := config.Load(write(t, t.TempDir(), "mcp.toml", here+"profile = \"nope\""), env("TEMPORAL_CONFIG_FILE", profiles))
		require.NoError(t, err)
		_, err = c.TemporalOptions()
		require.ErrorContains(t, err, "nope")
	})
}

func TestPostgresURL(t *testing.T) {
	const address = "postgres://mcp:hunter2@db/mcp"
	load := func(t *testing.T, dir, text string, pairs ...string) *config.Config {
		t.Helper()
		c, err := config.Load(write(t, dir, "mcp.toml", text), env(pairs...))
		require.NoError(t, err)
		return c
	}

	t.Run("comes from the file beside mcp.toml", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "url", address+"\n")
		got, err := load(t, dir, "[postgres]\nurl_file = \"url\"").PostgresURL()
		require.NoError(t, err)
		require.Equal(t, address, got)
	})

	t.Run("comes from mcp.toml", func(t *testing.T) {
		got, err := load(t, t.TempDir(), "[postgres]\nurl = \""+address+"\"").PostgresURL()
		require.NoError(t, err)
		require.Equal(t, address, got)
	})

	t.Run("comes from the environment, which overrides both", func(t *testing.T) {
		got, err := load(t, t.TempDir(), "[postgres]\nurl_file = \"missing\"", "MCP_POSTGRES_URL", address).PostgresURL()
		require.NoError(t, err)
		require.Equal(t, address, got)
	})

	t.Run("is reported as missing, with the places that were searched", func(t *testing.T) {
		c, err := config.Load("", env())
		require.NoError(t, err)
		_, err = c.PostgresURL()
		require.ErrorContains(t, err, "postgres.url_file or MCP_POSTGRES_URL")
		require.ErrorContains(t, err, "/etc/mcp/mcp.toml")
	})

	t.Run("is refused from a file that other users can read", func(t *testing.T) {
		dir := t.TempDir()
		path := write(t, dir, "url", address)
		require.NoError(t, os.Chmod(path, 0o640))
		_, err := load(t, dir, "[postgres]\nurl_file = \"url\"").PostgresURL()
		require.ErrorContains(t, err, "chmod 600 "+path)
		require.NotContains(t, err.Error(), "hunter2")

		inline := load(t, dir, "[postgres]\nurl = \""+address+"\"")
		require.NoError(t, os.Chmod(inline.Describe(), 0o644))
		_, err = inline.PostgresURL()
		require.ErrorContains(t, err, "mode 0644")
	})

	t.Run("may be readable by any user if it has no password", func(t *testing.T) {
		dir := t.TempDir()
		path := write(t, dir, "url", "postgres://mcp@db/mcp")
		require.NoError(t, os.Chmod(path, 0o644))
		_, err := load(t, dir, "[postgres]\nurl_file = \"url\"").PostgresURL()
		require.NoError(t, err)
	})
}
