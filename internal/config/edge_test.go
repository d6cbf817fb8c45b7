package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/config"
)

func TestEdge(t *testing.T) {
	t.Run("without a file it has a directory and the public authority, and no name", func(t *testing.T) {
		c, err := config.Load("", env("HOME", "/home/op"))
		require.NoError(t, err)
		require.Empty(t, c.Edge.Name)
		require.Equal(t, "/home/op/.local/state/mcp/edge", c.Edge.Data)
		require.Equal(t, config.LetsEncrypt, c.Edge.ACME.Directory)
		require.Equal(t, "127.0.0.1:9466", c.Edge.Metrics)
	})

	t.Run("the file, the environment, and where each key comes from", func(t *testing.T) {
		path := write(t, t.TempDir(), "mcp.toml", `
			[edge]
			name = "front"
			data = "edge"
			ports = {80 = 8080}
			certificates = ["a.pem", "/b.pem"]
			[edge.acme]
			root = "root.pem"`)
		c, err := config.Load(path, env("MCP_EDGE_PORTS", "443:8443,80:8081", "MCP_EDGE_ACME_EMAIL", "ops@example.org"))
		require.NoError(t, err)
		dir := filepath.Dir(path)
		require.Equal(t, filepath.Join(dir, "edge"), c.Edge.Data)
		require.Equal(t, map[int]int{80: 8081, 443: 8443}, c.Edge.PortMap())
		require.Equal(t, []string{filepath.Join(dir, "a.pem"), "/b.pem"}, c.Edge.Certificates)
		require.Equal(t, filepath.Join(dir, "root.pem"), c.Edge.ACME.Root)

		settings, err := c.Settings()
		require.NoError(t, err)
		for _, want := range []config.Setting{
			{Key: "edge.name", Value: "front", Source: config.FromFile},
			{Key: "edge.ports", Value: "443:8443 80:8081", Source: "$MCP_EDGE_PORTS"},
			{Key: "edge.acme.root", Value: filepath.Join(dir, "root.pem"), Source: config.FromFile},
			{Key: "edge.acme.directory", Value: config.LetsEncrypt, Source: config.FromDefault},
			{Key: "edge.acme.email", Value: "ops@example.org", Source: "$MCP_EDGE_ACME_EMAIL"},
		} {
			require.Contains(t, settings, want)
		}
	})

	for _, test := range []struct{ name, text, want string }{
		{"an unknown key", "[edge.acme]\ndirectry = \"off\"", "mcp.toml:2: edge.acme.directry: unknown key; valid keys are directory, email, root"},
		{"an invalid name", "[edge]\nname = \"Front!\"", "edge.name: must consist of a-z, 0-9 and -"},
		{"an address that is a name", "[edge]\nlisten = \"front\"", "edge.listen: must be an IP address"},
		{"a port that is none", "[edge.ports]\nhttps = 8443", `edge.ports: must map a port between 1 and 65535, not "https"`},
		{"a port out of range", "[edge.ports]\n443 = 0", "edge.ports.443: must be between 1 and 65535, not 0"},
		{"two ports on one", "[edge.ports]\n443 = 8443\n80 = 8443", "edge.ports.80: is 8443, as is edge.ports.443"},
		{"a network that is none", "[edge]\ntrusted_proxies = [\"10.0.0.0/33\"]", "edge.trusted_proxies: must contain networks such as"},
		{"an authority without TLS", "[edge.acme]\ndirectory = \"http://acme.example\"", "edge.acme.directory: must begin with https://"},
		{"settings of no provider", "[edge.acme]\ndns_file = \"dns.json\"", "edge.acme.dns_file: needs edge.acme.dns"},
		{"metrics without a port", "[edge]\nmetrics = \"localhost\"", "edge.metrics: must be host:port"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := config.Load(write(t, t.TempDir(), "mcp.toml", test.text), env())
			require.ErrorContains(t, err, test.want)
		})
	}

	t.Run("a key that others can read is refused", func(t *testing.T) {
		for mode, want := range map[os.FileMode]string{0o600: "", 0o640: "other users can read it (mode 0640); run chmod 600"} {
			path := write(t, t.TempDir(), "shop.pem", "PEM")
			require.NoError(t, os.Chmod(path, mode))
			err := config.Edge{Certificates: []string{path}}.CheckCertificates()
			settings, dnsErr := config.ACME{DNS: "rfc2136", DNSFile: path}.DNSSettings()
			if want != "" {
				require.ErrorContains(t, err, want)
				require.ErrorContains(t, dnsErr, want)
				continue
			}
			require.NoError(t, err)
			require.NoError(t, dnsErr)
			require.Equal(t, "PEM", string(settings))
		}
	})
}
