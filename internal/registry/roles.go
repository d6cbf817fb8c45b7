package registry

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
)

// Prepare returns when the tables are at the version that this program needs. A role that
// owns them, or may create them, migrates them; for another role they are Unavailable
// until their owner has migrated them.
func Prepare(ctx context.Context, url string, with ...Option) error {
	store, err := Open(ctx, url, with...)
	if err != nil {
		return err
	}
	defer store.Close()
	role, owns, err := store.owns(ctx)
	if err != nil {
		return err
	}
	if owns {
		_, _, err := Migrate(ctx, url, with...)
		return err
	}
	has, needs, err := store.Schema(ctx)
	switch {
	case fault.Is(err, fault.Invalid): // there is no table yet
		has, err = 0, nil
	case err != nil:
		return err
	}
	switch {
	case has < needs:
		return fault.New(fault.Unavailable, "the registry's tables are at version %d, and this mcp needs %d; role %s does not own them", has, needs, role).
			WithHint("run mcp migrate with the owner's URL: [postgres] owner_url_file")
	case has > needs:
		return fault.New(fault.Conflict, "the registry's tables are at version %d, and this mcp supports %d", has, needs).
			WithHint("run the newer mcp that has migrated these tables")
	}
	return err
}

// owns returns the role of this connection, and whether it may migrate the tables: it has
// the privileges of their owner, or there are none yet and it may create them.
func (s *Store) owns(ctx context.Context) (role string, owns bool, err error) {
	limited, cancel := context.WithTimeout(ctx, s.longest)
	defer cancel()
	err = s.pool.QueryRow(limited, `
		select current_user::text, coalesce(
		    (select pg_has_role(relowner, 'usage') from pg_class where oid = to_regclass($1)),
		    has_schema_privilege(current_schema(), 'create'), false)`, versionTable).Scan(&role, &owns)
	return role, owns, translate(ctx, s.late(limited, err), true, "look for the owner of the registry's tables")
}

// readOnly and appendOnly are the tables that a worker's role cannot change freely.
var readOnly, appendOnly = []string{versionTable}, []string{"audit"}

// Grant gives a role what workers need of the tables, and takes the rest from it: it may
// not define anything, nor change rows of the audit. The URL is the owner's. A role that
// is the owner, a member of it or a superuser is a Conflict, because nothing could be
// kept from it.
func Grant(ctx context.Context, url, role string, with ...Option) error {
	store, err := Open(ctx, url, with...)
	if err != nil {
		return err
	}
	defer store.Close()
	return store.write(ctx, func(tx pgx.Tx) error {
		schema, err := mayBeLimited(ctx, tx, role)
		if err != nil {
			return err
		}
		return grant(ctx, tx, schema, role)
	}, "grant role %s what workers need", role)
}

// mayBeLimited fails for a role from which nothing can be kept. It returns the schema of
// the tables.
func mayBeLimited(ctx context.Context, tx pgx.Tx, role string) (schema string, err error) {
	var known, owner bool
	err = tx.QueryRow(ctx, `
		select current_schema(), exists (select from pg_roles where rolname = $1),
		       coalesce((select pg_has_role(rolname, current_user, 'member') or rolsuper or rolcreaterole from pg_roles where rolname = $1), false)`, role).
		Scan(&schema, &known, &owner)
	switch {
	case err != nil:
		return "", err
	case !known:
		return "", fault.New(fault.NotFound, "Postgres has no role %s, which [postgres] url names for the workers", role).
			WithHint("create it: create role %s login password '…'", ident(role))
	case owner:
		return "", fault.New(fault.Conflict, "role %s, which [postgres] url names for the workers, owns the tables, is a member of their owner, or may manage roles", role).
			WithHint("give the workers a role of their own: create role mcp_worker login password '…'")
	}
	return schema, nil
}

func grant(ctx context.Context, tx pgx.Tx, schema, role string) error {
	to, in := ident(role), ident(schema)
	var changed []string
	for _, table := range Tables {
		if !slices.Contains(readOnly, table) && !slices.Contains(appendOnly, table) {
			changed = append(changed, ident(table))
		}
	}
	for _, statement := range []string{
		"revoke all on all tables in schema " + in + " from " + to,
		"revoke all on all sequences in schema " + in + " from " + to,
		"revoke create on schema " + in + " from " + to + ", public",
		"grant usage on schema " + in + " to " + to,
		"grant select, insert, update, delete on " + strings.Join(changed, ", ") + " to " + to,
		"grant select, insert on " + strings.Join(idents(appendOnly), ", ") + " to " + to,
		"grant select on " + strings.Join(idents(readOnly), ", ") + " to " + to,
		"grant usage on all sequences in schema " + in + " to " + to,
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	var creates bool
	if err := tx.QueryRow(ctx, `select has_schema_privilege($1, $2, 'create')`, role, schema).Scan(&creates); err != nil {
		return err
	}
	if creates {
		return fault.New(fault.Conflict, "role %s may create tables in schema %s", role, schema).
			WithHint("as the owner of the schema: revoke create on schema %s from public", in)
	}
	return nil
}

// ident is the name of a role, a schema or a table in a statement.
func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

func idents(names []string) []string {
	list := make([]string, 0, len(names))
	for _, name := range names {
		list = append(list, ident(name))
	}
	return list
}

// ExpireAudit deletes the actions that began before a time, with their ends, and returns
// how many there were. The URL is that of the owner of the tables.
func ExpireAudit(ctx context.Context, url string, before time.Time, with ...Option) (expired int, err error) {
	store, err := Open(ctx, url, with...)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	for more := true; more; {
		err := store.write(ctx, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `set local mcp.audit_expires = 'on'`); err != nil {
				return err
			}
			var actions int
			err := tx.QueryRow(ctx, `
				with old as (
				    select action from audit where phase = 'begun' and at < $1 order by at limit $2
				), gone as (delete from audit where action in (select action from old) returning phase)
				select count(*) filter (where phase = 'begun') from gone`, before, expiredAtOnce).Scan(&actions)
			expired, more = expired+actions, actions == expiredAtOnce
			return err
		}, "expire the audit")
		if err != nil {
			return expired, err
		}
	}
	return expired, nil
}

// expiredAtOnce is how many actions one transaction deletes.
const expiredAtOnce = 10_000
