package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/config"
)

// configured loads a configuration of that text, with variables.
func configured(t *testing.T, text string, env map[string]string) (*config.Config, string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mcp.toml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	if env == nil {
		env = map[string]string{}
	}
	env["HOME"] = filepath.Dir(file)
	c, err := config.Load(file, func(name string) string { return env[name] })
	return c, file, err
}

func TestAPlainConnectionToTemporalStaysHere(t *testing.T) {
	for address, refused := range map[string]bool{
		"127.0.0.1:7233": false, "localhost:7233": false, "localhost.:7233": false, "[::1]:7233": false, "[::ffff:127.0.0.1]:7233": false,
		"10.0.0.5:7233": true, "[::ffff:10.0.0.5]:7233": true, "0.0.0.0:7233": true, "[fd00::1]:7233": true,
	} {
		c, file, err := configured(t, "[temporal]\naddress = \""+address+"\"\n", nil)
		require.NoError(t, err)
		_, err = c.TemporalOptions()
		require.Equal(t, refused, err != nil, "%s: %v", address, err)
		if refused {
			require.ErrorContains(t, err, file+": temporal.address: the connection to ")
		}
		c, _, err = configured(t, "[temporal]\naddress = \""+address+"\"\ninsecure = true\n", nil)
		require.NoError(t, err)
		_, err = c.TemporalOptions()
		require.NoError(t, err, "%s, which may be reached so", address)
		c, _, err = configured(t, "[temporal]\naddress = \""+address+"\"\n", map[string]string{"TEMPORAL_TLS": "true"})
		require.NoError(t, err)
		_, err = c.TemporalOptions()
		require.NoError(t, err, "%s with TLS", address)
	}
	c, _, err := configured(t, "", map[string]string{"TEMPORAL_ADDRESS": "10.0.0.5:7233"})
	require.NoError(t, err)
	_, err = c.TemporalOptions()
	require.ErrorContains(t, err, "$TEMPORAL_ADDRESS: the connection to 10.0.0.5 leaves this machine")
	c, _, err = configured(t, "", map[string]string{"TEMPORAL_ADDRESS": "10.0.0.5:7233", "MCP_TEMPORAL_INSECURE": "true"})
	require.NoError(t, err)
	_, err = c.TemporalOptions()
	require.NoError(t, err)
	// A key is sent with TLS, unless a profile disables that.
	key := map[string]string{"TEMPORAL_ADDRESS": "10.0.0.5:7233", "TEMPORAL_API_KEY": "s3cret"}
	c, _, err = configured(t, "", key)
	require.NoError(t, err)
	_, err = c.TemporalOptions()
	require.NoError(t, err)
	key["TEMPORAL_TLS"] = "false"
	c, _, err = configured(t, "", key)
	require.NoError(t, err)
	_, err = c.TemporalOptions()
	require.ErrorContains(t, err, "the connection to 10.0.0.5 leaves this machine")
	require.NotContains(t, err.Error(), "s3cret")
	_, _, err = configured(t, "", map[string]string{"MCP_TEMPORAL_INSECURE": "perhaps"})
	require.ErrorContains(t, err, `"perhaps" is not true or false`)
}

func TestAPlainWebhookStaysHere(t *testing.T) {
	for webhook, refused := range map[string]bool{
		"https://hooks.example/T0": false, "http://127.0.0.1:9000/x": false, "http://localhost/x": false, "http://[::1]/x": false,
		"http://10.0.0.5/s3cret": true, "http://127.0.0.1@10.0.0.5/s3cret": true, "http://[::ffff:10.0.0.5]/s3cret": true, "HTTP://10.0.0.5/s3cret": true,
	} {
		_, file, err := configured(t, "[alerts]\nwebhook = \""+webhook+"\"\n", nil)
		require.Equal(t, refused, err != nil, "%s: %v", webhook, err)
		if refused {
			require.ErrorContains(t, err, file+": alerts.webhook: is not encrypted")
			require.NotContains(t, err.Error(), "s3cret")
			_, _, err = configured(t, "[alerts]\nwebhook = \""+webhook+"\"\ninsecure = true\n", nil)
			require.NoError(t, err)
		}
	}
}

func TestFilesWithCredentialsAreOfTheirOwnerAlone(t *testing.T) {
	for mode, refused := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o644: true, 0o660: true, 0o620: true} {
		secret := filepath.Join(t.TempDir(), "secret")
		write := func(text string) {
			t.Helper()
			require.NoError(t, os.WriteFile(secret, []byte(text), 0o600))
			require.NoError(t, os.Chmod(secret, mode))
		}
		check := func(what string, err error) {
			t.Helper()
			require.Equal(t, refused, err != nil, "%s, mode %04o: %v", what, mode, err)
			if refused {
				require.ErrorContains(t, err, "chmod 600 "+secret, what)
			}
		}
		write("postgres://mcp:hunter2@127.0.0.1/mcp\n")
		c, _, err := configured(t, "[postgres]\nurl_file = \""+secret+"\"\nowner_url_file = \""+secret+"\"\n", nil)
		require.NoError(t, err)
		_, err = c.PostgresURL()
		check("postgres.url_file", err)
		_, err = c.OwnerURL()
		check("postgres.owner_url_file", err)
		_, _, err = configured(t, "[image_registry]\nauth_file = \""+secret+"\"\n", nil)
		check("image_registry.auth_file", err)
		c, _, err = configured(t, "", map[string]string{"TEMPORAL_TLS_CLIENT_CERT_PATH": "/none.pem", "TEMPORAL_TLS_CLIENT_KEY_PATH": secret})
		require.NoError(t, err)
		if _, err = c.TemporalOptions(); refused { // one that is private has no certificate here
			check("TLS key", err)
		}
	}
	_, _, err := configured(t, "[image_registry]\nauth_file = \"/none/auth.json\"\n", nil)
	require.NoError(t, err, "one that is missing is missed where it is needed")
}

func TestHowLongTheAuditIsKept(t *testing.T) {
	c, _, err := configured(t, "", nil)
	require.NoError(t, err)
	require.Equal(t, 365*24*time.Hour, time.Duration(c.Audit.Keep))
	_, file, err := configured(t, "[audit]\nkeep = \"1h\"\n", nil)
	require.ErrorContains(t, err, file+`: audit.keep: must be at least "24h", not 1h0m0s`)
}
