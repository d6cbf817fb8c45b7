package config_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
)

func TestDoor(t *testing.T) {
	t.Run("Temporal is reached through it, with TLS, whatever its address", func(t *testing.T) {
		c, _, err := configured(t, "[temporal]\naddress = \"127.0.0.1:7233\"\nnamespace = \"fleet\"\n[door]\naddresses = [\"10.0.0.1:7433\"]\nidentity = \"id\"", nil)
		require.NoError(t, err)
		require.Equal(t, filepath.Join(filepath.Dir(c.File()), "id"), c.Door.Identity)
		options, err := c.TemporalOptions()
		require.NoError(t, err)
		require.Equal(t, "10.0.0.1:7433", options.HostPort)
		require.Equal(t, "fleet", options.Namespace)
		require.NotNil(t, options.ConnectionOptions.TLS)
		require.True(t, fault.Is(c.Door.Check(), fault.NotFound), "%v", c.Door.Check())
		settings, err := c.Settings()
		require.NoError(t, err)
		require.Contains(t, settings, config.Setting{Key: "temporal.address", Value: "127.0.0.1:7233", Source: config.FromFile})
		require.Contains(t, settings, config.Setting{Key: "door.addresses", Value: "10.0.0.1:7433", Source: config.FromFile})
	})
	t.Run("several are one address", func(t *testing.T) {
		c, _, err := configured(t, "[door]\naddresses = [\"a.example:7433\", \"b.example:7433\"]", nil)
		require.NoError(t, err)
		options, err := c.TemporalOptions()
		require.NoError(t, err)
		require.Equal(t, "doors:///a.example:7433,b.example:7433", options.HostPort)
		settings, err := c.Settings()
		require.NoError(t, err)
		require.Contains(t, settings, config.Setting{Key: "temporal.address", Value: "", Source: config.FromDefault})
	})
	t.Run("an address in the environment goes past it, without the identity", func(t *testing.T) {
		c, _, err := configured(t, "[door]\naddresses = [\"a.example:7433\"]", map[string]string{"TEMPORAL_ADDRESS": "127.0.0.1:7233"})
		require.NoError(t, err)
		options, err := c.TemporalOptions()
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1:7233", options.HostPort)
		require.Nil(t, options.ConnectionOptions.TLS)
	})
	t.Run("it has the keys: a file of this machine is not read", func(t *testing.T) {
		behind := "[temporal]\naddress = \"127.0.0.1:7233\"\nencryption_key_file = \"is-gone\"\n[door]\naddresses = [\"a.example:7433\"]"
		c, _, err := configured(t, behind, nil)
		require.NoError(t, err)
		_, err = c.TemporalOptions()
		require.NoError(t, err)
		encryption, err := c.Encryption()
		require.NoError(t, err)
		require.Nil(t, encryption.Keys())
		_, err = c.Codec() // of a control worker, for Postgres, and of a gateway
		require.True(t, fault.Is(err, fault.NotFound), "%v", err)

		c, _, err = configured(t, behind, map[string]string{"TEMPORAL_ADDRESS": "127.0.0.1:7233"})
		require.NoError(t, err)
		_, err = c.TemporalOptions()
		require.ErrorContains(t, err, "is-gone does not exist", "past the gateway the keys are needed")
	})
	t.Run("a gateway reaches its own Temporal", func(t *testing.T) {
		c, _, err := configured(t, "[temporal]\naddress = \"127.0.0.1:7233\"\nnamespace = \"fleet\"\n[door]\naddresses = [\"a.example:7433\"]", nil)
		require.NoError(t, err)
		conn, namespace, err := c.Upstream()
		require.NoError(t, err)
		defer conn.Close()
		require.Equal(t, "127.0.0.1:7233", conn.Target())
		require.Equal(t, "fleet", namespace)
		c, _, err = configured(t, "[temporal]\naddress = \"10.0.0.1:7233\"", nil)
		require.NoError(t, err)
		_, _, err = c.Upstream()
		require.ErrorContains(t, err, "leaves this machine")
	})
	for text, want := range map[string]string{
		"[door]\naddresses = [\"door\"]":             `door.addresses: the address of a gateway must be host:port, not "door"`,
		"[gateway]\nlisten = \"door.example:7433\"":  "gateway.listen: must be an address of this host and a port",
		"[gateway]\naddresses = [\"https://door/\"]": "gateway.addresses: the address of a gateway must be host:port",
		"[gateway]\nlife = \"10m\"":                  "gateway.life: must be between 1h0m0s and 2160h0m0s, not 10m0s",
		"[gateway]\nmetrics = \"here\"":              "gateway.metrics: must be host:port",
		"[gateway]\nkey_file = \"\"":                 "gateway.key_file: must be a file",
	} {
		_, _, err := configured(t, text, nil)
		require.ErrorContains(t, err, want)
	}
}
