package registry

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/metacircular/mcp/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// SchemaVersion is the number of the newest migration: the version of the tables that
// this program needs.
var SchemaVersion = newestOf(migrations)

// newestOf returns the number with which the name of the last migration begins.
func newestOf(files fs.FS) int {
	paths, err := fs.Glob(files, "migrations/*.sql") // sorted: in the order of their numbers
	if err != nil {
		panic(err) // the pattern is a constant
	}
	number, _, _ := strings.Cut(path.Base(paths[len(paths)-1]), "_")
	newest, err := strconv.Atoi(number)
	if err != nil {
		panic(err) // the files are part of the program
	}
	return newest
}

// versionTable has a row for each migration that was applied.
const versionTable = "schema_versions"

// A process that waits for another's migrations retries each second, for five
// minutes.
const lockPeriod, lockTries = 1, 300

// migrateTime bounds a migration, with the wait for another's.
const migrateTime = 15 * time.Minute

// Migrate brings the tables to SchemaVersion, and returns the versions before and
// after. An advisory lock makes it safe to run several times at once. Tables of a
// newer mcp are a Conflict, and are not changed.
func Migrate(ctx context.Context, url string, with ...Option) (from, to int, err error) {
	const doing = "migrate the registry"
	config, err := parse(url, with...)
	if err != nil {
		return 0, 0, err
	}
	db := stdlib.OpenDB(*config.ConnConfig)
	defer func() { _ = db.Close() }()
	if err := ping(ctx, db); err != nil {
		return 0, 0, translate(ctx, err, true, doing)
	}
	caller := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, migrateTime, fault.New(fault.Unavailable, "%s: not done within %s", doing, migrateTime))
	defer cancel()
	migrator, err := newMigrator(db)
	if err != nil {
		return 0, 0, fault.Wrap(fault.Internal, err, doing)
	}
	applied, err := migrator.Up(ctx)
	var version int64
	if err == nil {
		version, err = migrator.GetDBVersion(ctx)
	}
	switch {
	case err != nil && ctx.Err() != nil && caller.Err() == nil:
		return 0, 0, context.Cause(ctx)
	case err != nil:
		return 0, 0, translate(ctx, err, ping(ctx, db) != nil, doing)
	}
	if int(version) > SchemaVersion {
		return 0, 0, fault.New(fault.Conflict, "%s: its tables are at version %d, and this mcp supports %d", doing, version, SchemaVersion).
			WithHint("run the newer mcp that has migrated these tables")
	}
	from = int(version)
	if len(applied) > 0 {
		from = before(migrator, applied[0].Source.Version)
	}
	return from, int(version), nil
}

// before is the number of the migration before one; 0 for the first. Numbers may be
// missing.
func before(migrator *goose.Provider, version int64) (last int) {
	for _, source := range migrator.ListSources() {
		if source.Version < version {
			last = max(last, int(source.Version))
		}
	}
	return last
}

// ping checks that Postgres answers, and does not wait for one that hangs.
func ping(ctx context.Context, db *sql.DB) error {
	limited, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	err := db.PingContext(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("no answer within %s", 2*connectTimeout)
	}
	return err
}

func newMigrator(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriod, lockTries))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName(versionTable), goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
}

// Schema returns the version of the tables, and the one that this program needs.
func (s *Store) Schema(ctx context.Context) (has, needs int, err error) {
	limited, cancel := context.WithTimeout(ctx, s.longest)
	defer cancel()
	err = s.pool.QueryRow(limited, `select max(version_id) from `+versionTable+` where is_applied`).Scan(&has)
	return has, SchemaVersion, translate(ctx, s.late(limited, err), true, "read the version of the registry's tables")
}
