package registry

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/tern/v2/migrate"

	"github.com/metacircular/mcp/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// SchemaVersion is the number of the newest migration, and what this program
// needs the tables to be at.
const SchemaVersion int32 = 7

// versionTable holds the number of the last migration that was applied.
const versionTable = "schema_version"

// Migrate brings the tables to SchemaVersion, and says from which version to
// which. An advisory lock makes it safe to run several times at once. Tables
// of a newer mcp are a Conflict, and left alone.
func Migrate(ctx context.Context, url string) (from, to int32, err error) {
	const doing = "migrate the registry"
	config, err := parse(url)
	if err != nil {
		return 0, 0, err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return 0, 0, translate(ctx, err, true, doing)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	from, to, err = migrateOn(ctx, conn)
	var newer migrate.BadVersionError
	if errors.As(err, &newer) {
		return 0, 0, fault.Wrap(fault.Conflict, err, doing).
			WithHint("a newer mcp has migrated these tables: run that one here too")
	}
	return from, to, translate(ctx, err, conn.IsClosed(), doing)
}

func migrateOn(ctx context.Context, conn *pgx.Conn) (from, to int32, err error) {
	migrator, err := migrate.NewMigrator(ctx, conn, versionTable)
	if err != nil {
		return 0, 0, err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return 0, 0, err
	}
	if err := migrator.LoadMigrations(files); err != nil {
		return 0, 0, err
	}
	// Only the callback runs under the lock, so it alone knows which version
	// this call, and no other at the same time, started from.
	applied := false
	migrator.OnStart = func(sequence int32, _, _, _ string) {
		if !applied {
			applied, from = true, sequence-1
		}
	}
	if err := migrator.Migrate(ctx); err != nil {
		return 0, 0, err
	}
	if to, err = migrator.GetCurrentVersion(ctx); err != nil {
		return 0, 0, err
	}
	if !applied {
		from = to
	}
	return from, to, nil
}

// Schema is the version of the tables, and the one that this program needs.
func (s *Store) Schema(ctx context.Context) (has, needs int32, err error) {
	err = s.pool.QueryRow(ctx, `select version from `+versionTable).Scan(&has)
	return has, SchemaVersion, translate(ctx, err, true, "read the version of the registry's tables")
}
