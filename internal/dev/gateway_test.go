package dev_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/seal"
)

// roles are those of the identities of a platform without an edge.
var roles = []identity.Role{identity.Control, identity.Node, identity.Builder, identity.Operator}

// held reads the identity of a role.
func held(t *testing.T, info dev.Info, role identity.Role) identity.Content {
	t.Helper()
	c, err := identity.Directory(filepath.Join(info.Identities, string(role))).Read()
	require.NoError(t, err)
	require.Equal(t, string(role)+"/"+dev.Local, c.Identity.String())
	return c
}

// requireGateway requires that the clients of the platform know the gateway, each with an
// identity, and that the address of Temporal is in no file for them.
func requireGateway(t *testing.T, info dev.Info, roles ...identity.Role) {
	t.Helper()
	conn, err := net.Dial("tcp", info.Temporal())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	c, err := config.Load(info.Config, func(string) string { return "" })
	require.NoError(t, err)
	options, err := c.TemporalOptions()
	require.NoError(t, err)
	require.Equal(t, info.Gateway.Address, options.HostPort)
	require.True(t, config.ThroughDoor(options))
	_, port, err := net.SplitHostPort(info.Temporal())
	require.NoError(t, err)
	_, door, err := net.SplitHostPort(info.Gateway.Address)
	require.NoError(t, err)
	configured := []string{info.Config, filepath.Join(info.Dir, "dev.json")}
	if info.Edge != nil {
		configured = append(configured, filepath.Join(info.Dir, "edge", "mcp.toml"))
	}
	for _, file := range configured {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), ":"+door+`"`, file)
		require.NotContains(t, string(text), ":"+port+`"`, file)
	}
	for _, role := range roles {
		require.True(t, time.Now().Before(held(t, info, role).Due()), role)
	}
}

// authority is that of a running platform.
func authority(t *testing.T, info dev.Info) *identity.Authority {
	t.Helper()
	store, err := registry.Open(t.Context(), postgresURL(t, info))
	require.NoError(t, err)
	defer store.Close()
	keys, err := store.GatewayKeys(t.Context())
	require.NoError(t, err)
	own, err := seal.Read(filepath.Join(info.Dir, "gateway", "gateway.key"))
	require.NoError(t, err)
	text, err := own.Open("gateway/authority", keys[registry.GatewayAuthority].Sealed)
	require.NoError(t, err)
	a, err := identity.ParseAuthority(text)
	require.NoError(t, err)
	return a
}

// expire replaces the certificate of a role by one that has ended.
func expire(t *testing.T, by *identity.Authority, info dev.Info, role identity.Role) {
	t.Helper()
	c := held(t, info, role)
	request, err := c.Request()
	require.NoError(t, err)
	ended, err := by.Issue(c.Identity, request, identity.MinLife, time.Now().Add(-identity.MinLife-time.Minute))
	require.NoError(t, err)
	require.NoError(t, identity.Directory(filepath.Join(info.Identities, string(role))).Renew(c.Roots, ended))
}

// forget removes what a platform has of its gateway from the registry, while it runs.
func forget(t *testing.T, info dev.Info) {
	t.Helper()
	said, err := exec.Command("psql", postgresURL(t, info), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", "delete from gateway_keys; delete from identities").CombinedOutput()
	require.NoError(t, err, string(said))
}

func postgresURL(t *testing.T, info dev.Info) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(info.Dir, "postgres.url"))
	require.NoError(t, err)
	return strings.TrimSpace(string(text))
}
