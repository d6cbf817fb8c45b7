package registry_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/watch"
)

// roles are an owner of a schema, and a worker, who may use it.
type roles struct{ owner, worker, role string }

// newRoles creates a schema, its owner and another role, and returns their URLs.
func newRoles(t *testing.T) roles {
	t.Helper()
	address, err := url.Parse(newSchema(t))
	require.NoError(t, err)
	schema := address.Query().Get("search_path")
	as := func(role string) string {
		mine := *address
		mine.User = url.UserPassword(role, "secret")
		return mine.String()
	}
	r := roles{role: schema + "_worker"}
	owner := schema + "_owner"
	exec(t, server.URL(), `create role `+owner+` login password 'secret'; create role `+r.role+` login password 'secret';
		alter schema `+schema+` owner to `+owner)
	t.Cleanup(func() {
		clean := `drop schema ` + schema + ` cascade; drop owned by ` + owner + `, ` + r.role + `; drop role ` + owner + `, ` + r.role
		conn, err := pgx.Connect(context.WithoutCancel(t.Context()), server.URL())
		require.NoError(t, err)
		defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
		_, err = conn.Exec(context.WithoutCancel(t.Context()), clean)
		require.NoError(t, err)
	})
	r.owner, r.worker = as(owner), as(r.role)
	return r
}

func TestAWorkerWithoutTheTablesWaitsForTheirOwner(t *testing.T) {
	r := newRoles(t)
	err := registry.Prepare(t.Context(), r.worker)
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	require.ErrorContains(t, err, "the registry's tables are at version 0, and this mcp needs ")
	require.ErrorContains(t, err, "role "+r.role+" does not own them")
	require.Contains(t, fault.Of(err).Hint, "mcp migrate")

	require.NoError(t, registry.Prepare(t.Context(), r.owner), "their owner makes them")
	err = registry.Prepare(t.Context(), r.worker)
	require.Error(t, err, "they are not granted yet")
	require.NoError(t, registry.Grant(t.Context(), r.owner, r.role))
	require.NoError(t, registry.Prepare(t.Context(), r.worker))

	exec(t, r.owner, `delete from schema_versions where version_id = (select max(version_id) from schema_versions)`)
	err = registry.Prepare(t.Context(), r.worker)
	require.True(t, fault.Is(err, fault.Unavailable), "an upgrade waits, too: %v", err)
	exec(t, r.owner, `insert into schema_versions (version_id, is_applied) values (9999, true)`)
	err = registry.Prepare(t.Context(), r.worker)
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)
}

func TestAWorkerWorksWithItsGrants(t *testing.T) {
	r := newRoles(t)
	_, _, err := registry.Migrate(t.Context(), r.owner)
	require.NoError(t, err)
	for range 2 { // as often as one likes
		require.NoError(t, registry.Grant(t.Context(), r.owner, r.role))
	}
	store := openStore(t, r.worker)
	require.NoError(t, store.CheckTables(t.Context()))
	_, err = store.RecordNode(t.Context(), fleet.NodeRecord{Name: "rift", Address: "10.0.0.5", Seen: time.Now(), Boot: "boot"})
	require.NoError(t, err)
	begin(t, store, "shop", "api")
	allocate(t, store, portRequest("shop", "api", 1, []int{20001}, "rest"))
	commit(t, store, "shop", 1, member("shop", "api", 1, fleet.Route{Name: "rest", Port: 8443, Mode: "l4", HostPort: 20001}))
	finish(t, store, "shop", 1, "succeeded")
	observe(t, store, fleet.Observation{Node: "rift", At: time.Now()}, "webhook")
	observe(t, store, fleet.Observation{Node: "rift", At: time.Now(), Problem: "no answer"}, "webhook")
	entry := auditEntry("run-1", "alice", "shop")
	require.NoError(t, store.RecordAudit(t.Context(), []fleet.AuditEntry{entry, auditEnd(entry, "succeeded", "")}))
	list, err := store.Audit(t.Context(), fleet.AuditQuery{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	event := fleet.Event{At: entry.At, Since: entry.At, Drift: fleet.Drift{Kind: fleet.EventUnaudited, Service: "shop"}}
	require.NoError(t, store.RecordEvents(t.Context(), []fleet.Event{event}, []string{"webhook"}))
	keep := watch.RetentionAt(time.Now())
	_, err = store.DropEvents(t.Context(), keep.Any, 10)
	require.NoError(t, err)
	_, err = store.FoldEvents(t.Context(), keep.Whole, 10)
	require.NoError(t, err)
	require.NoError(t, store.ReleasePorts(t.Context(), "shop", time.Minute))
	begin(t, store, "blog", "web")
	finish(t, store, "blog", 1, "failed")
	_, err = store.Purge(t.Context(), "blog", false, func(fleet.Remains) error { return nil })
	require.NoError(t, err)
}

// A worker that is taken over cannot hide what it has done, nor define anything.
func TestAWorkerMayNeitherDefineNorForget(t *testing.T) {
	r := newRoles(t)
	_, _, err := registry.Migrate(t.Context(), r.owner)
	require.NoError(t, err)
	require.NoError(t, registry.Grant(t.Context(), r.owner, r.role))
	e := auditEntry("run-1", "alice", "shop")
	require.NoError(t, openStore(t, r.worker).RecordAudit(t.Context(), []fleet.AuditEntry{e}))
	exec(t, r.worker, `grant all on audit to public`) // a warning: it has nothing to grant
	for _, statement := range []string{
		`update audit set who = 'mallory'`, `delete from audit`, `truncate audit`, `set mcp.audit_expires = 'on'; delete from audit`,
		`alter table audit disable trigger all`, `drop trigger audit_rows_stay on audit`, `drop table audit`, `drop table events cascade`,
		`create or replace function audit_is_append_only() returns trigger language plpgsql as 'begin return old; end'`,
		`create table mine (id int)`, `create index on services (name)`, `alter table services add column mine int`, `truncate events`,
		`insert into schema_versions (version_id, is_applied) values (9999, true)`, `delete from schema_versions`,
		`create view mine as select 1`, `set session_replication_role = replica; delete from audit`,
		`alter sequence audit_id_seq restart`, `select setval('audit_id_seq', 1)`,
		`insert into audit (id, action, phase, at, who, from_host, claimed, verb) overriding system value values (1, 'x', 'begun', now(), 'a', '', true, 'deploy')`,
		`lock table audit in access exclusive mode`,
	} {
		require.Error(t, try(t, r.worker, statement), statement)
	}
	list, err := openStore(t, r.owner).Audit(t.Context(), fleet.AuditQuery{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "alice", list[0].Who)
	_, err = registry.ExpireAudit(t.Context(), r.worker, time.Now().Add(time.Hour))
	require.True(t, fault.Is(err, fault.Unauthorized), "%v", err)
}

func TestNothingIsGrantedToARoleFromWhichNothingCanBeKept(t *testing.T) {
	r := newRoles(t)
	_, _, err := registry.Migrate(t.Context(), r.owner)
	require.NoError(t, err)
	owner, _ := url.Parse(r.owner)
	superuser, _ := url.Parse(server.URL())
	for role, kind := range map[string]fault.Kind{
		owner.User.Username(): fault.Conflict, superuser.User.Username(): fault.Conflict,
		"absent": fault.NotFound, `x"; drop table audit; --`: fault.NotFound,
	} {
		err := registry.Grant(t.Context(), r.owner, role)
		require.True(t, fault.Is(err, kind), "%s: %v", role, err)
		require.NotEmpty(t, fault.Of(err).Hint, role)
	}
	exec(t, server.URL(), `grant `+owner.User.Username()+` to `+r.role)
	err = registry.Grant(t.Context(), r.owner, r.role)
	require.True(t, fault.Is(err, fault.Conflict), "a member of the owner: %v", err)
}

func TestTheAuditExpires(t *testing.T) {
	r := newRoles(t)
	_, _, err := registry.Migrate(t.Context(), r.owner)
	require.NoError(t, err)
	store, now := openStore(t, r.owner), time.Now()
	for key, age := range map[string]time.Duration{"old": 400 * 24 * time.Hour, "new": time.Hour, "late": 366 * 24 * time.Hour} {
		e := auditEntry(key, "alice", "shop")
		e.At = now.Add(-age)
		require.NoError(t, store.RecordAudit(t.Context(), []fleet.AuditEntry{e}))
		if key != "late" { // which never ended
			require.NoError(t, store.RecordAudit(t.Context(), []fleet.AuditEntry{auditEnd(e, "succeeded", "")}))
		}
	}
	expired, err := registry.ExpireAudit(t.Context(), r.owner, now.Add(-365*24*time.Hour))
	require.NoError(t, err)
	require.Equal(t, 2, expired)
	require.Equal(t, 2, count(t, r.owner, `select count(*) from audit where action = 'new'`))
	require.Equal(t, 2, count(t, r.owner, `select count(*) from audit`))
	require.Error(t, try(t, r.owner, `delete from audit`), "the setting ends with its transaction")
}

func TestPlainConnectionsToOtherMachinesAreRefused(t *testing.T) {
	const encrypted, refused = true, false
	for address, want := range map[string]bool{
		"postgres://mcp:hunter2@127.0.0.1:5432/mcp":                                        encrypted,
		"postgres://mcp:hunter2@localhost./mcp?sslmode=disable":                            encrypted,
		"postgres://mcp:hunter2@[::1]:5432/mcp?sslmode=prefer":                             encrypted,
		"postgres://mcp:hunter2@[::ffff:127.0.0.1]/mcp":                                    encrypted,
		"postgres:///mcp?host=/run/postgresql&user=mcp":                                    encrypted,
		"postgres://mcp:hunter2@10.0.0.5/mcp?sslmode=require":                              encrypted,
		"postgres://mcp:hunter2@10.0.0.5/mcp?sslmode=verify-full":                          encrypted,
		"postgres://mcp:hunter2@10.0.0.5/mcp":                                              refused,
		"postgres://mcp:hunter2@10.0.0.5/mcp?sslmode=prefer":                               refused,
		"postgres://mcp:hunter2@10.0.0.5/mcp?sslmode=allow":                                refused,
		"postgres://mcp:hunter2@10.0.0.5/mcp?sslmode=disable":                              refused,
		"postgres://mcp:hunter2@127.0.0.1,10.0.0.5/mcp":                                    refused,
		"postgres://mcp:hunter2@127.0.0.1/mcp?host=10.0.0.5":                               refused,
		"postgres://mcp:hunter2@[::ffff:10.0.0.5]/mcp":                                     refused,
		"postgres://mcp:hunter2@0.0.0.0/mcp":                                               refused,
		"host=10.0.0.5 user=mcp password=hunter2 dbname=mcp":                               refused,
		"postgres://mcp:hunter2@127.0.0.1:5432,192.168.0.1:5432/mcp?sslmode=allow":         refused,
		"postgres://mcp:hunter2@10.0.0.5/mcp?sslmode=require&sslrootcert=&sslmode=disable": refused,
	} {
		err := registry.CheckURL(address)
		require.Equal(t, want, err == nil, "%s: %v", address, err)
		if err == nil {
			continue
		}
		require.True(t, fault.Is(err, fault.Invalid))
		require.NotContains(t, err.Error()+fault.Of(err).Hint, "hunter2")
		require.Contains(t, fault.Of(err).Hint, "[postgres] insecure = true")
		require.NoError(t, registry.CheckURL(address, registry.Insecure(true)), address)
	}
}

// What pgx takes from the environment counts, too.
func TestTheEnvironmentMakesNoConnectionPlain(t *testing.T) {
	t.Setenv("PGSSLMODE", "disable")
	require.Error(t, registry.CheckURL("postgres://mcp@10.0.0.5/mcp"))
	t.Setenv("PGHOST", "10.0.0.5")
	require.Error(t, registry.CheckURL("postgres:///mcp?user=mcp"))
	t.Setenv("PGSSLMODE", "require")
	require.NoError(t, registry.CheckURL("postgres://mcp@10.0.0.5/mcp"))
}
