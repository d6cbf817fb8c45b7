package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/identity"
)

// doorFleet is a control plane behind a gateway.
type doorFleet struct {
	*testing.T
	controlPlane
	gateway map[string]string
}

func newDoorFleet(t *testing.T) (f *doorFleet, stopGateway func()) {
	t.Helper()
	f = &doorFleet{T: t, controlPlane: newControlPlane(t)}
	dir := t.TempDir()
	f.gateway = maps.Clone(f.env)
	f.gateway["MCP_GATEWAY_LISTEN"] = freeAddress(t)
	f.gateway["MCP_GATEWAY_METRICS"] = freeAddress(t)
	f.gateway["MCP_GATEWAY_KEY_FILE"] = filepath.Join(dir, "keys", "gateway.key")
	f.gateway["MCP_GATEWAY_DATA"] = filepath.Join(dir, "data")
	return f, f.serveGateway(f.gateway)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := parts.FreePort()
	require.NoError(t, err)
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// serveGateway serves until the returned function is called, and waits until it is ready.
func (f *doorFleet) serveGateway(env map[string]string) (stop func()) {
	f.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(f.Context()))
	served := make(chan outcome, 1)
	go func() { served <- mcp(ctx, f.T, env, "gateway") }()
	stop = func() {
		cancel()
		got := <-served
		require.Zero(f, got.code, got.stderr)
		served <- got
	}
	f.Cleanup(stop)
	require.Eventually(f, func() bool {
		answer, err := http.Get("http://" + env["MCP_GATEWAY_METRICS"] + "/readyz")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, time.Minute, 50*time.Millisecond)
	return stop
}

// token creates an identity, and returns its token.
func (f *doorFleet) token(env map[string]string, args ...string) string {
	f.Helper()
	got := mcp(f.Context(), f.T, env, append([]string{"identity", "create", "--json"}, args...)...)
	require.Zero(f, got.code, got.stderr)
	var made struct{ Token string }
	require.NoError(f, json.Unmarshal([]byte(got.stdout), &made))
	return made.Token
}

// join joins a user with a token, and returns the environment.
func (f *doorFleet) join(token string) map[string]string {
	f.Helper()
	env := map[string]string{"HOME": f.TempDir()}
	got := mcp(f.Context(), f.T, env, "join", token)
	require.Zero(f, got.code, got.stderr)
	require.Contains(f, got.stdout, filepath.Join(env["HOME"], ".config/mcp/mcp.toml"))
	return env
}

func TestAFleetBehindAGateway(t *testing.T) {
	f, stop := newDoorFleet(t)
	var eve map[string]string
	anna := f.join(f.token(f.gateway, "operator", "anna", "--direct"))

	got := mcp(t.Context(), t, anna, "node", "list", "--json")
	require.Zero(t, got.code, got.stderr)
	require.JSONEq(t, "[]", got.stdout)
	got = mcp(t.Context(), t, anna, "audit", "--json")
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stdout, `"verb": "join"`)
	require.Contains(t, got.stdout, `"who": "operator/anna"`)

	token := f.token(anna, "node", "rift")
	t.Run("a machine joins by its configuration and its unit", func(t *testing.T) {
		dir := t.TempDir()
		config, units := filepath.Join(dir, "etc", "mcp.toml"), filepath.Join(dir, "units")
		args := []string{"node", "join", "--config", config, "--dir", filepath.Join(dir, "identity"), "--units", units, "--publish", "10.0.0.5", "--json"}
		got := mcp(t.Context(), t, nil, append(args, token)...)
		require.Zero(t, got.code, got.stderr)
		text, err := os.ReadFile(config)
		require.NoError(t, err)
		require.Contains(t, string(text), "\n[node]\nname = \"rift\"\npublish = \"10.0.0.5\"\n")
		unit, err := os.ReadFile(filepath.Join(units, "mcp-node@.service"))
		require.NoError(t, err)
		require.Contains(t, string(unit), "Environment=MCP_CONFIG="+config+"\n")
		require.NotContains(t, string(unit), "/usr/local/bin/mcp ", "the unit starts the program that has joined")

		got = mcp(t.Context(), t, nil, append(args, token)...)
		require.Equal(t, 1, got.code)
		require.Contains(t, got.stderr+got.stdout, "it was used already")

		got = mcp(t.Context(), t, map[string]string{"MCP_CONFIG": config}, "node", "list")
		require.Equal(t, 1, got.code, "a node reads no list: %s", got.stdout)
		require.Contains(t, got.stderr, "node/rift")
		got = mcp(t.Context(), t, map[string]string{"MCP_CONFIG": config}, "identity", "list")
		require.Equal(t, 1, got.code)
		require.Contains(t, got.stderr, "node/rift may not see or change identities: operators may")
	})

	t.Run("identities are listed and revoked", func(t *testing.T) {
		eve = f.join(f.token(anna, "reader", "eve", "--service", "shop"))
		got := mcp(t.Context(), t, eve, "status", "shop")
		require.NotEqual(t, 4, got.code, got.stderr)
		got = mcp(t.Context(), t, anna, "identity", "list")
		require.Zero(t, got.code, got.stderr)
		require.Regexp(t, `reader/eve +active +\S+ \S+ +shop +- +\S+`, got.stdout)
		got = mcp(t.Context(), t, anna, "identity", "revoke", "reader", "eve")
		require.Equal(t, 2, got.code, "it asks: %s", got.stderr)
		got = mcp(t.Context(), t, anna, "identity", "revoke", "reader", "eve", "-y")
		require.Zero(t, got.code, got.stderr)
		got = mcp(t.Context(), t, eve, "status", "shop")
		require.Equal(t, 4, got.code)
		require.Contains(t, got.stderr, "the identity reader/eve is revoked")
		got = mcp(t.Context(), t, anna, "identity", "list")
		require.NotContains(t, got.stdout, "eve")
	})

	t.Run("another gateway needs the key file", func(t *testing.T) {
		other := maps.Clone(f.gateway)
		other["MCP_GATEWAY_LISTEN"], other["MCP_GATEWAY_METRICS"] = freeAddress(t), "off"
		other["MCP_GATEWAY_KEY_FILE"] = filepath.Join(t.TempDir(), "gateway.key")
		got := mcp(t.Context(), t, other, "gateway")
		require.Equal(t, 1, got.code)
		require.Contains(t, got.stderr, "copy the file of [gateway] key_file from the gateway that was started first")
	})

	t.Run("where one gateway is away another one is used", func(t *testing.T) {
		second := maps.Clone(f.gateway)
		second["MCP_GATEWAY_LISTEN"], second["MCP_GATEWAY_METRICS"] = freeAddress(t), freeAddress(t)
		second["MCP_GATEWAY_DATA"] = filepath.Join(t.TempDir(), "data")
		defer f.serveGateway(second)()
		both := maps.Clone(anna)
		both["MCP_DOOR_ADDRESSES"] = freeAddress(t) + "," + second["MCP_GATEWAY_LISTEN"]
		for _, verb := range [][]string{{"node", "list"}, {"identity", "list"}} {
			got := mcp(t.Context(), t, both, verb...)
			require.Zero(t, got.code, got.stderr)
		}
	})

	t.Run("a certificate that is due is renewed by the next command", func(t *testing.T) {
		d := identity.Directory(filepath.Join(anna["HOME"], ".config/mcp/identity"))
		before, err := d.Read()
		require.NoError(t, err)
		got := mcp(t.Context(), t, anna, "identity", "create", "operator", "bert", "--life", "1h")
		require.Zero(t, got.code, got.stderr)
		after, err := d.Read()
		require.NoError(t, err)
		require.Equal(t, before.Certificate.SerialNumber, after.Certificate.SerialNumber, "it was not due")
	})

	t.Run("while Postgres is away known identities are served, also after a restart of the gateway", func(t *testing.T) {
		stop()
		f.postgres.Stop()
		f.serveGateway(f.gateway)
		health := func(env map[string]string) error {
			cfg, err := config.Load(filepath.Join(env["HOME"], ".config/mcp/mcp.toml"), func(name string) string { return env[name] })
			require.NoError(t, err)
			options, err := cfg.TemporalOptions()
			require.NoError(t, err)
			options.Logger = sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
			c, err := client.DialContext(t.Context(), options)
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.CheckHealth(t.Context(), &client.CheckHealthRequest{})
			return err
		}
		require.NoError(t, health(anna))
		require.ErrorContains(t, health(eve), "the identity reader/eve is revoked")
		got := mcp(t.Context(), t, anna, "identity", "list")
		require.Equal(t, 4, got.code)
		require.Contains(t, got.stderr, "its registry is away")
		got = mcp(t.Context(), t, anna, "doctor")
		require.Contains(t, got.stdout, "operator/anna, until ")
		require.Contains(t, got.stdout, "it agrees with the gateway's")
	})
}
