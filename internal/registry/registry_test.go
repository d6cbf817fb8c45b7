package registry_test

import (
	"context"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/watch"
)

// everyCall is each method of a Store, and Migrate, as one error.
func everyCall(ctx context.Context, store *registry.Store, address string) map[string]error {
	_, _, migrate := registry.Migrate(ctx, address)
	_, begin := store.BeginDeployment(ctx, beginRequest(definition("shop", "api")))
	_, release := store.Release(ctx, "shop")
	_, allocate := store.AllocatePorts(ctx, fleet.PortRequest{Service: "shop", Component: "api", Deployment: 1, Node: "rift"})
	_, nodes := store.Nodes(ctx)
	_, record := store.RecordNode(ctx, fleet.NodeRecord{Name: "rift"})
	_, services := store.Services(ctx, nil)
	_, deployments := store.Deployments(ctx, "shop", 0)
	_, snapshot := store.Snapshot(ctx, "shop", 1)
	_, commit := store.CommitRelease(ctx, fleet.CommitRequest{Service: "shop", Deployment: 1}, noRoutes)
	_, publish := store.Publish(ctx, fleet.PublishRequest{Service: "shop"}, noRoutes)
	_, maintain := store.SetMaintenance(ctx, fleet.MaintenanceRequest{Service: "shop"}, noRoutes)
	_, publications := store.Publications(ctx, "")
	_, announce := store.AnnounceEdge(ctx, fleet.EdgeRecord{Name: "berlin", Key: "key"})
	_, admit := store.AdmitEdge(ctx, fleet.EdgeAdmission{Edge: "berlin", Key: "key"})
	_, edges := store.Edges(ctx)
	_, admitted := store.AdmittedEdges(ctx)
	_, endpoints := store.EndpointHolders(ctx, nil)
	_, use := store.UseStorage(ctx, fleet.StorageRequest{Edge: "berlin"}, "run")
	_, _, missing := store.MissingAt(ctx, "berlin", "")
	_, _, drift := store.RecordEdgeDrift(ctx, fleet.EdgeObservation{Edge: "berlin", At: time.Now()}, nil, watch.AssessEdge)
	return map[string]error{
		"Publish": publish, "SetMaintenance": maintain, "Publications": publications,
		"AnnounceEdge": announce, "AdmitEdge": admit, "Edges": edges, "AdmittedEdges": admitted, "EndpointHolders": endpoints,
		"UseStorage": use, "MissingAt": missing, "RecordEdgeDrift": drift,
		"RecordAcks":       store.RecordAcks(ctx, nil),
		"RecordEdgeStatus": store.RecordEdgeStatus(ctx, "berlin", fleet.EdgeStatus{}),
		"OpenEdgeDrift":    store.OpenEdgeDrift(ctx, nil, nil),
		"ThinEdges":        store.ThinEdges(ctx, time.Now()),
		"RemoveEdge":       store.RemoveEdge(ctx, "berlin"),
		"Snapshot":         snapshot, "MarkMended": store.MarkMended(ctx, "shop", 1, ""),
		"Migrate": migrate, "BeginDeployment": begin, "Release": release, "AllocatePorts": allocate,
		"ReleasePorts":     store.ReleasePorts(ctx, "shop", time.Minute),
		"CommitRelease":    commit,
		"FinishDeployment": store.FinishDeployment(ctx, fleet.FinishRequest{Service: "shop", Deployment: 1, Outcome: "failed"}),
		"RecordNode":       record,
		"MarkRevived":      store.MarkRevived(ctx, "rift", "b1"),
		"Nodes":            nodes, "Services": services, "Deployments": deployments,
	}
}

func TestPostgresIsDown(t *testing.T) {
	address := "postgres://mcp:geheim@127.0.0.1:1/mcp"
	store := openStore(t, address)
	for name, err := range everyCall(t.Context(), store, address) {
		require.True(t, fault.Is(err, fault.Unavailable), "%s: %v", name, err)
		require.NotContains(t, err.Error(), "geheim", name)
	}
}

func TestThePasswordIsInNoError(t *testing.T) {
	wrong, err := url.Parse(server.URL())
	require.NoError(t, err)
	password, _ := wrong.User.Password()
	missing := *wrong
	missing.Path = "/nowhere"
	wrong.User = url.UserPassword("mcp", "geheim")

	for name, test := range map[string]struct {
		url  string
		kind fault.Kind
	}{
		"a wrong password":   {wrong.String(), fault.Unauthorized},
		"a missing database": {missing.String(), fault.NotFound},
		"a bad port":         {"postgres://mcp:geheim@127.0.0.1:port/mcp", fault.Invalid},
		"a bad escape":       {"postgres://mcp:geheim%zz@127.0.0.1/mcp", fault.Invalid},
		"a bad option":       {"postgres://mcp:geheim@127.0.0.1/mcp?sslmode=perhaps", fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := registry.Migrate(t.Context(), test.url)
			require.True(t, fault.Is(err, test.kind), "%v", err)
			require.NotContains(t, err.Error(), "geheim")
			require.NotContains(t, err.Error(), password)
			store, err := registry.Open(t.Context(), test.url)
			if err == nil {
				t.Cleanup(store.Close)
				_, err = store.Nodes(t.Context())
			}
			require.True(t, fault.Is(err, test.kind), "%v", err)
			require.NotContains(t, err.Error(), "geheim")
		})
	}
}

// privateServer is a Postgres that a test may end, with a registry in it.
func privateServer(t *testing.T) (*parts.Postgres, *registry.Store) {
	t.Helper()
	dir, err := os.MkdirTemp("", "mcp-registry-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	private, err := parts.StartPostgres(t.Context(), parts.PostgresOptions{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, private.Destroy()) })
	_, _, err = registry.Migrate(t.Context(), private.URL())
	require.NoError(t, err)
	return private, openStore(t, private.URL())
}

func TestPostgresRestarts(t *testing.T) {
	first, store := privateServer(t)
	begin(t, store, "shop", "api")

	first.Stop()
	for name, err := range everyCall(t.Context(), store, first.URL()) {
		require.True(t, fault.Is(err, fault.Unavailable), "%s: %v", name, err)
	}

	second, err := parts.StartPostgres(t.Context(), parts.PostgresOptions{Dir: first.Dir})
	require.NoError(t, err)
	t.Cleanup(second.Stop)
	require.Equal(t, first.URL(), second.URL())
	require.Equal(t, 2, begin(t, store, "shop", "api").Number)
}

func TestPostgresIsKilledDuringACall(t *testing.T) {
	private, store := privateServer(t)
	blocker, err := pgx.Connect(t.Context(), private.URL())
	require.NoError(t, err)
	t.Cleanup(func() { _ = blocker.Close(context.Background()) })
	_, err = blocker.Exec(t.Context(), "begin; lock table services")
	require.NoError(t, err)

	result := make(chan error)
	go func() {
		_, err := store.Release(t.Context(), "shop")
		result <- err
	}()
	require.Eventually(t, func() bool {
		return count(t, private.URL(), "select count(*) from pg_locks where not granted") == 1
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, syscall.Kill(private.PID(), syscall.SIGKILL))
	err = <-result
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
}

func TestAConnectionIsEndedByTheServer(t *testing.T) {
	store, address := newStore(t)
	begin(t, store, "shop", "api")
	exec(t, address, "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = 'mcp'")
	if _, err := store.Release(t.Context(), "shop"); err != nil {
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	}
	require.Equal(t, 2, begin(t, store, "shop", "api").Number)
}

func TestTablesAreMissing(t *testing.T) {
	store := openStore(t, newSchema(t))
	_, err := store.Nodes(t.Context())
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	require.Contains(t, fault.Of(err).Hint, "mcp migrate")
}

func TestTheCallerCancels(t *testing.T) {
	store, _ := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.Release(ctx, "shop")
	require.ErrorIs(t, err, context.Canceled)
}

func TestNoQueryIsCompiled(t *testing.T) {
	store, _ := newStore(t)
	jit, err := store.Setting(t.Context(), "jit")
	require.NoError(t, err)
	require.Equal(t, "off", jit)
}
