package registry_test

import (
	"net/url"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/servicedef"
)

const canary = "canary-of-the-registry"

// newKeys returns the file of a new key.
func newKeys(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "encryption.keys")
	_, _, err := keyring.Add(path, false)
	require.NoError(t, err)
	return path
}

func openSealed(t *testing.T, address, file string) *registry.Store {
	t.Helper()
	var keys *keyring.Keys
	if file != "" {
		var err error
		keys, err = keyring.Open(file)
		require.NoError(t, err)
	}
	store, err := registry.OpenSealed(t.Context(), address, keys)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	return store
}

// secretly is a service whose environment, outputs and failures have the canary.
func secretly(t *testing.T, store *registry.Store, service string) {
	t.Helper()
	d := definition(service, "api")
	d.Active = true
	d.Components[0].Env = map[string]string{"TOKEN": canary}
	_, err := store.RecordDefinition(t.Context(), d)
	require.NoError(t, err)
	request := beginRequest(d)
	begun, err := store.BeginDeployment(t.Context(), request)
	require.NoError(t, err)
	changed := d
	changed.Components = append([]servicedef.Component{}, d.Components...)
	changed.Components[0].Cmd = []string{canary}
	_, err = store.CommitRelease(t.Context(), fleet.CommitRequest{
		Service: service, Deployment: begun.Number, Run: request.RunID, Active: true, Definition: &changed,
		Members: []fleet.Member{{Component: "api", Container: service + "-api", Node: "rift", Deployment: begun.Number, Image: "api:v1", Digest: "sha256:1", Active: true}},
		Jobs:    []fleet.Job{{Name: "night", Image: "api:v1", Digest: "sha256:1"}},
	}, noRoutes)
	require.NoError(t, err)
	require.NoError(t, store.RecordTask(t.Context(), fleet.TaskRecord{
		Service: service, Task: fleet.Task{ID: "task", Kind: fleet.StepTask, Name: "migrate"}, Deployment: begun.Number, Node: "rift", Container: "c",
		TaskResult: fleet.TaskResult{State: fleet.TaskFailed, Detail: "says " + canary, Log: []string{"it printed " + canary}},
	}))
	require.NoError(t, store.SkipRun(t.Context(), fleet.RunRequest{
		Service: service, Job: "night", Command: []string{"echo", canary}, Due: time.Now(), WorkflowID: "job", RunID: service + "-job",
	}, begun.Number, "rift", "skipped", 5))
	require.NoError(t, store.FinishDeployment(t.Context(), fleet.FinishRequest{
		Service: service, Deployment: begun.Number, Run: request.RunID, Outcome: "failed",
		ErrorKind: "Unhealthy", ErrorMessage: "it said " + canary, ErrorLog: []string{"last words: " + canary},
	}))
}

// readsSecretly reads what secretly has written.
func readsSecretly(t *testing.T, store *registry.Store, service string) {
	t.Helper()
	release, err := store.Release(t.Context(), service)
	require.NoError(t, err)
	require.Equal(t, canary, release.Definition.Components[0].Env["TOKEN"])
	require.Equal(t, []string{canary}, release.Definition.Components[0].Cmd)
	deployments, err := store.Deployments(t.Context(), service, 0)
	require.NoError(t, err)
	require.Equal(t, "it said "+canary, deployments[0].ErrorMessage)
	require.Equal(t, []string{"last words: " + canary}, deployments[0].ErrorLog)
	tasks, err := store.Tasks(t.Context(), fleet.TaskQuery{Service: service})
	require.NoError(t, err)
	require.Equal(t, "says "+canary, tasks[0].Detail)
	require.Equal(t, []string{"it printed " + canary}, tasks[0].Log)
	runs, err := store.JobRuns(t.Context(), service, "night", 0)
	require.NoError(t, err)
	require.Equal(t, []string{"echo", canary}, runs[0].Command)
}

// dump is what pg_dump writes of a registry.
func dump(t *testing.T, address string) string {
	t.Helper()
	program, err := osexec.LookPath("pg_dump")
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
		require.NotEmpty(t, found, "pg_dump is installed with Postgres")
		program = found[len(found)-1]
	}
	database, err := url.Parse(address)
	require.NoError(t, err)
	args := []string{"--inserts"}
	query := database.Query()
	if schema := query.Get("search_path"); schema != "" {
		args = append(args, "--schema", schema)
	}
	query.Del("search_path")
	database.RawQuery = query.Encode()
	dumping := osexec.Command(program, append(args, "--dbname", database.String())...)
	var said strings.Builder
	dumping.Stderr = &said
	text, err := dumping.Output()
	require.NoError(t, err, said.String())
	require.Contains(t, string(text), "INSERT INTO")
	return string(text)
}

func TestTheRegistryIsEncrypted(t *testing.T) {
	_, address := newStore(t)
	file := newKeys(t)
	store := openSealed(t, address, file)
	require.NoError(t, store.KeepKeys(t.Context()))
	secretly(t, store, "shop")
	readsSecretly(t, store, "shop")
	require.NotContains(t, dump(t, address), canary)

	t.Run("what statements need is in the clear", func(t *testing.T) {
		require.Equal(t, 1, count(t, address, `select count(*) from deployments where definition->'components' @> '[{"node": "rift", "name": "api"}]' and (definition->>'active')::boolean`))
		named, err := store.RemoveNode(t.Context(), "none", func(fleet.NodeUse) error { return nil })
		require.NoError(t, err)
		require.False(t, named)
	})
	t.Run("a process without keys says so", func(t *testing.T) {
		without := openSealed(t, address, "")
		_, err := without.Release(t.Context(), "shop")
		require.ErrorContains(t, err, "the definition of shop in the registry is encrypted with key ")
		require.ErrorContains(t, err, "this process has no encryption keys")
		require.True(t, fault.Is(err, fault.Unauthorized))
		require.ErrorContains(t, without.KeepKeys(t.Context()), "this process has no encryption keys")
		names, err := without.ServiceNames(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"shop"}, names)
	})
	t.Run("a process with other keys says so", func(t *testing.T) {
		other := newKeys(t)
		require.ErrorContains(t, openSealed(t, address, other).KeepKeys(t.Context()), "which "+other+" does not have")
	})
	t.Run("the row of another service is refused", func(t *testing.T) {
		_, err := store.RecordDefinition(t.Context(), definition("blog", "api"))
		require.NoError(t, err)
		_, err = store.BeginDeployment(t.Context(), beginRequest(definition("blog", "api")))
		require.NoError(t, err)
		exec(t, address, `update deployments set definition = (select definition from deployments where service = 'shop' limit 1), released_at = now() where service = 'blog'`)
		_, err = store.Snapshot(t.Context(), "blog", 1)
		require.ErrorContains(t, err, "cannot be decrypted with key")
	})
}

func TestResealing(t *testing.T) {
	plain, address := newStore(t)
	secretly(t, plain, "old")
	require.Contains(t, dump(t, address), canary)
	file := newKeys(t)
	store := openSealed(t, address, file)
	readsSecretly(t, store, "old")
	first := ids(t, file)[0]

	resealed, err := store.Reseal(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, first, resealed.Key)
	require.Equal(t, 5, resealed.Rows)
	require.NotContains(t, dump(t, address), canary)
	readsSecretly(t, store, "old")
	again, err := store.Reseal(t.Context(), false)
	require.NoError(t, err)
	require.Zero(t, again.Rows)

	t.Run("after a rotation", func(t *testing.T) {
		second, _, err := keyring.Add(file, false)
		require.NoError(t, err)
		_, err = keyring.Promote(file, second.ID)
		require.NoError(t, err)
		rotated := openSealed(t, address, file)
		secretly(t, rotated, "new")
		resealed, err := rotated.Reseal(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, registry.Resealed{Rows: 5, Key: second.ID}, withoutNil(resealed))
		require.Zero(t, count(t, address, `select count(*) from deployments where position('`+first+`' in encode(decode(definition->>'sealed', 'base64'), 'escape')) > 0`))
		_, err = keyring.Remove(file, first)
		require.NoError(t, err)
		alone := openSealed(t, address, file)
		require.ErrorContains(t, alone.KeepKeys(t.Context()), first, "the file lacks a key that is recorded")
		resealed, err = openSealed(t, address, file).Reseal(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, []string{first}, resealed.Forgotten)
		require.NoError(t, alone.KeepKeys(t.Context()))
		readsSecretly(t, alone, "old")
		readsSecretly(t, alone, "new")
	})
	t.Run("back to plain", func(t *testing.T) {
		store := openSealed(t, address, file)
		resealed, err := store.Reseal(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, 10, resealed.Rows)
		require.Len(t, resealed.Forgotten, 1)
		readsSecretly(t, plain, "old")
		require.NoError(t, plain.KeepKeys(t.Context()))
	})
}

func withoutNil(r registry.Resealed) registry.Resealed {
	if len(r.Forgotten) == 0 {
		r.Forgotten = nil
	}
	return r
}

func ids(t *testing.T, file string) []string {
	t.Helper()
	ring, err := keyring.Read(file)
	require.NoError(t, err)
	return ring.IDs()
}
