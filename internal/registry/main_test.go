package registry_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/disposal"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/watch"
	"github.com/metacircular/mcp/servicedef"
)

// server is the Postgres that all tests share, each with its own database or schema.
var server *parts.Postgres

// serverLog is its log.
var serverLog string

func TestMain(m *testing.M) {
	code, err := withServer(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withServer(run func() int) (code int, err error) {
	dir, err := os.MkdirTemp("", "mcp-registry-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	serverLog = filepath.Join(dir, "postgres.log")
	server, err = parts.StartPostgres(context.Background(), parts.PostgresOptions{Dir: dir, Unsafe: true})
	if err != nil {
		return 0, err
	}
	code = run()
	return code, server.Destroy()
}

var schemas atomic.Int64

// newSchema creates an empty schema and returns a URL that leads to it.
func newSchema(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", schemas.Add(1))
	exec(t, server.URL(), "create schema "+name)
	address, err := url.Parse(server.URL())
	require.NoError(t, err)
	query := address.Query()
	query.Set("search_path", name)
	address.RawQuery = query.Encode()
	return address.String()
}

// template is a database with the registry's tables, which newStore copies: that takes a
// fraction of the time of all migrations. It is made once.
var template = sync.OnceValue(func() error {
	const name = "migrated"
	conn, err := pgx.Connect(context.Background(), server.URL())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(context.Background(), "create database "+name); err != nil {
		return err
	}
	_, _, err = registry.Migrate(context.Background(), databaseURL(name))
	return err
})

// databaseURL leads to a database of the server.
func databaseURL(name string) string {
	address, err := url.Parse(server.URL())
	if err != nil {
		panic(err) // the server made it
	}
	address.Path = "/" + name
	return address.String()
}

// newStore creates a registry with its tables, in a database of its own.
func newStore(t testing.TB) (*registry.Store, string) {
	t.Helper()
	require.NoError(t, template())
	name := fmt.Sprintf("store_%d", schemas.Add(1))
	exec(t, server.URL(), "create database "+name+" template migrated")
	address := databaseURL(name)
	return openStore(t, address), address
}

func openStore(t testing.TB, address string) *registry.Store {
	t.Helper()
	store, err := registry.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	return store
}

// exec runs statements directly in Postgres.
func exec(t testing.TB, address, statements string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), statements)
	require.NoError(t, err)
}

// count returns the number that a query directly in Postgres gives.
func count(t *testing.T, address, query string) int { return value[int](t, address, query) }

// value is the answer to a query of one value.
func value[V any](t *testing.T, address, query string) (v V) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&v))
	return v
}

// definition is a service with the named components on node rift.
func definition(service string, components ...string) servicedef.Service {
	d := servicedef.Service{Name: service, Node: "rift", Active: true}
	for _, name := range components {
		d.Components = append(d.Components, servicedef.Component{Name: name, Node: "rift", Image: name + ":v1"})
	}
	return d
}

var runs atomic.Int64

// begin opens a deployment of a service with a component for each name.
func begin(t testing.TB, store *registry.Store, service string, components ...string) fleet.BeginResult {
	t.Helper()
	request := beginRequest(definition(service, components...))
	result, err := store.BeginDeployment(t.Context(), request)
	require.NoError(t, err)
	begun.Store(fmt.Sprint(service, " ", result.Number), request.RunID)
	return result
}

// runOf returns the run of a deployment, the last that was opened by that number.
func runOf(service string, deployment int) string {
	run, _ := begun.Load(fmt.Sprint(service, " ", deployment))
	text, _ := run.(string)
	return text
}

var begun sync.Map

func beginRequest(d servicedef.Service) fleet.BeginRequest {
	return fleet.BeginRequest{
		Definition: d, DefinitionHash: "hash", Verb: "deploy",
		WorkflowID: "deploy/" + d.Name, RunID: fmt.Sprint("run-", runs.Add(1)),
		Who: "operator", From: "laptop",
	}
}

// member is a component as a deployment made it.
func member(service, component string, deployment int, routes ...fleet.Route) fleet.Member {
	return fleet.Member{
		Component: component, Container: service + "-" + component, Node: "rift", Deployment: deployment, Run: runOf(service, deployment),
		Image: component + ":v1", Digest: "sha256:" + strings.Repeat("a", 64), Spec: "spec", Active: true, Routes: routes,
	}
}

// commit makes a deployment the release, and returns the images that are stale.
func commit(t testing.TB, store *registry.Store, service string, deployment int, members ...fleet.Member) fleet.CommitResult {
	t.Helper()
	committed, err := store.CommitRelease(t.Context(), fleet.CommitRequest{
		Service: service, Deployment: deployment, Active: true, Members: members,
		KeptReleases: disposal.KeptReleases, FormerReleases: disposal.FormerReleases,
	}, noRoutes)
	require.NoError(t, err)
	return disposal.StaleImages(committed.Former)
}

// noRoutes is a publication of a service that edges do not serve.
func noRoutes(fleet.PublicationSource) []fleet.EdgeRoute { return nil }

// observing is the request to record an observation.
func observing(o fleet.Observation, destinations ...string) fleet.RecordRequest {
	return fleet.RecordRequest{Observation: o, Destinations: destinations, Ended: o.Age + watch.Settling, Healed: watch.HealWindow}
}

// observe records an observation and returns what follows from it.
func observe(t testing.TB, store *registry.Store, o fleet.Observation, destinations ...string) fleet.Findings {
	t.Helper()
	found, err := store.RecordObservation(t.Context(), observing(o, destinations...), watch.Assess)
	require.NoError(t, err)
	return found
}

// finish closes a deployment.
func finish(t testing.TB, store *registry.Store, service string, deployment int, outcome string, undone ...string) {
	t.Helper()
	require.NoError(t, store.FinishDeployment(t.Context(), fleet.FinishRequest{
		Service: service, Deployment: deployment, Outcome: outcome, Undone: undone, Dirty: len(undone) > 0,
	}))
}

// try runs statements directly in Postgres, and returns the error.
func try(t testing.TB, address, statements string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), statements)
	return err
}
