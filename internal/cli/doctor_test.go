package cli_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/metacircular/mcp/internal/dev/parts"
)

// diagnosis is what mcp doctor --json says of each check.
type diagnosis map[string]struct{ Check, Status, Detail, Hint string }

// doctor runs mcp doctor.
func doctor(t *testing.T, env map[string]string) (int, diagnosis) {
	t.Helper()
	began := time.Now()
	got := mcp(t.Context(), t, env, "doctor", "--json")
	require.Less(t, time.Since(began), 30*time.Second)
	var list []struct{ Check, Status, Detail, Hint string }
	decode(t, got.stdout, &list)
	found := diagnosis{}
	for _, f := range list {
		require.Contains(t, []string{"ok", "warn", "fail"}, f.Status)
		require.NotEmpty(t, f.Detail, f.Check)
		require.True(t, f.Status == "ok" || f.Hint != "", "%s: %s", f.Check, f.Detail)
		found[f.Check] = f
	}
	return got.code, found
}

// closed is an address without a listener.
func closed(t *testing.T) string {
	t.Helper()
	port, err := parts.FreePort()
	require.NoError(t, err)
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func TestDoctorIsOfUseWhereNothingAnswers(t *testing.T) {
	dir, env := services(t)
	registry := closed(t)
	write(t, filepath.Join(dir, "shop.toml"), strings.Replace(definition("shop", "api"), "registry.example:5000", registry, 1))
	write(t, filepath.Join(dir, "broken.toml"), "name = 1")
	env["TEMPORAL_ADDRESS"] = closed(t)
	env["MCP_BUILD_WORKSPACE"], env["MCP_BUILD_SOCKET"] = dir, filepath.Join(dir, "no.sock")
	code, found := doctor(t, env)
	require.Equal(t, 4, code)
	require.Equal(t, "warn", found["configuration"].Status)
	require.Equal(t, "fail", found["services"].Status)
	require.Contains(t, found["services"].Detail, "broken.toml:1")
	require.Equal(t, "fail", found["builder"].Status)
	require.Contains(t, found["builder"].Detail, "no.sock does not answer")
	require.Equal(t, "fail", found["image registry "+registry+", from here"].Status)
	require.Equal(t, "fail", found["temporal"].Status)
	require.Contains(t, found["temporal"].Detail, "connection refused")

	plain := mcp(t.Context(), t, env, "doctor")
	require.Equal(t, 4, plain.code)
	require.Regexp(t, `(?m)^fail +temporal +Temporal at .* does not answer`, plain.stdout)
	require.Regexp(t, `(?m)^ +hint: start it \(mcp dev`, plain.stdout)
}

// What service check refuses, doctor does not call sound.
func TestDoctorAndServiceCheckAgreeOnTheDefinitions(t *testing.T) {
	dir, env := services(t)
	env["TEMPORAL_ADDRESS"] = closed(t)
	agree := func(code int, status, detail string) {
		t.Helper()
		require.Equal(t, code, mcp(t.Context(), t, env, "service", "check").code)
		_, found := doctor(t, env)
		require.Equal(t, status, found["services"].Status)
		require.Contains(t, found["services"].Detail, detail)
	}
	agree(0, "ok", ": 1 definition")
	write(t, filepath.Join(dir, "draft.toml"), definition("shop-api", "shop-api"))
	agree(2, "fail", "makes a container shop-api on node rift")
	write(t, filepath.Join(dir, "draft.toml"), definition("other", "other"))
	agree(0, "ok", ": 2 definitions")
}

func TestDoctorTellsOfAConfigurationThatCannotBeRead(t *testing.T) {
	t.Chdir(t.TempDir())
	code, found := doctor(t, map[string]string{"MCP_CONFIG": write(t, "mcp.toml", "servces = 1")})
	require.Equal(t, 1, code)
	require.Len(t, found, 1)
	require.Contains(t, found["configuration"].Detail, "servces: unknown key")
}

func TestDoctorTellsThatThereIsNoControlWorker(t *testing.T) {
	program := filepath.Join(programs(t), "temporal")
	_, env := services(t)
	temporal, err := parts.StartTemporal(t.Context(), parts.TemporalOptions{Unsafe: true, Dir: t.TempDir(), Binary: program})
	require.NoError(t, err)
	t.Cleanup(temporal.Stop)
	env["TEMPORAL_ADDRESS"], env["MCP_BUILD_BUILDER"] = temporal.Address(), "orion"
	code, found := doctor(t, env)
	require.Equal(t, 4, code)
	require.Equal(t, "ok", found["temporal"].Status)
	require.Equal(t, "ok", found["namespace"].Status)
	require.Equal(t, "ok", found["search attributes"].Status)
	require.Contains(t, found["control worker"].Hint, "mcp worker --control")
	require.Contains(t, found["node rift"].Hint, "mcp worker --node rift")
	require.Contains(t, found["builder"].Hint, "mcp worker --builder orion")

	env["TEMPORAL_NAMESPACE"] = "bare"
	code, found = doctor(t, env)
	require.Equal(t, 4, code)
	require.Equal(t, "fail", found["namespace"].Status)
	namespaces, err := client.NewNamespaceClient(client.Options{HostPort: temporal.Address()})
	require.NoError(t, err)
	defer namespaces.Close()
	require.NoError(t, namespaces.Register(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: "bare", WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	}))
	require.Eventually(t, func() bool { // Temporal caches that it is not there
		_, found = doctor(t, env)
		return found["namespace"].Status == "ok" && found["search attributes"].Status != ""
	}, time.Minute, 500*time.Millisecond)
	require.Equal(t, "fail", found["search attributes"].Status)
	require.Contains(t, found["search attributes"].Detail, "McpService")
}

func TestDoctorAsksThroughTheControlWorker(t *testing.T) {
	p := newControlPlane(t)
	dir := t.TempDir()
	registry := closed(t)
	write(t, filepath.Join(dir, "shop.toml"), strings.Replace(definition("shop", "api"), "registry.example:5000", registry, 1))
	p.env["MCP_SERVICES"] = dir
	code, found := doctor(t, p.env)
	require.Equal(t, 1, code)
	for _, check := range []string{"temporal", "namespace", "search attributes", "control worker", "postgres"} {
		require.Equal(t, "ok", found[check].Status, found[check])
	}
	require.Contains(t, found["postgres"].Detail, "at version ")
	require.Contains(t, found["node rift"].Detail, "no worker polls node-rift")
	require.Equal(t, "fail", found["image registry "+registry+", from the control worker"].Status)

	p.postgres.Stop()
	code, found = doctor(t, p.env)
	require.Equal(t, 4, code)
	require.Equal(t, "fail", found["postgres"].Status)
	require.Equal(t, "ok", found["control worker"].Status)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, 130, mcp(ctx, t, p.env, "doctor").code)
}

func TestOpenPrintsTheAddressAwayFromATerminal(t *testing.T) {
	t.Chdir(t.TempDir())
	env := map[string]string{"MCP_TEMPORAL_UI": "http://ui.example:8233/", "TEMPORAL_NAMESPACE": "prod"}
	got := mcp(t.Context(), t, env, "open", "shop", "--ui", "--print")
	require.Zero(t, got.code, got)
	require.Equal(t, "http://ui.example:8233/namespaces/prod/workflows?query=McpService+%3D+%22shop%22\n", got.stdout)
	require.Equal(t, "http://ui.example:8233/namespaces/prod/workflows\n", mcp(t.Context(), t, env, "open").stdout)
	unknown := mcp(t.Context(), t, nil, "open")
	require.Equal(t, 2, unknown.code)
	require.Contains(t, unknown.stderr, "[temporal] ui")
}
