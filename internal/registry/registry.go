package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metacircular/mcp/internal/fault"
)

// connectTimeout is how long Postgres may take to answer a new connection.
const connectTimeout = 5 * time.Second

// Store is the registry. It is safe for use by many goroutines.
type Store struct {
	pool *pgxpool.Pool
}

// Open returns the registry at a Postgres URL. It does not connect: Postgres
// may start later, or restart.
func Open(ctx context.Context, url string) (*Store, error) {
	config, err := parse(url)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, translate(ctx, err, true, "open the registry")
	}
	return &Store{pool: pool}, nil
}

// parse reads a Postgres URL, which may hold options of the pool. The error
// quotes neither the URL nor pgx's error, because the URL holds a password.
func parse(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the Postgres URL is not valid").
			WithHint("write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.AfterConnect = withoutJIT
	return config, nil
}

// withoutJIT keeps Postgres from compiling queries that take milliseconds: its
// estimate for a service with many deployments makes it do so, for 20 ms each time
// and 130 ms the first. It is no parameter of the connection, because a pooler would
// refuse that.
func withoutJIT(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "set jit = off")
	return err
}

// Close closes the registry's connections, after those in use are released.
func (s *Store) Close() { s.pool.Close() }

// Ping checks that Postgres answers.
func (s *Store) Ping(ctx context.Context) error {
	return translate(ctx, s.pool.Ping(ctx), true, "ping Postgres")
}

// write runs work in a transaction. Doing describes it, for the error.
func (s *Store) write(ctx context.Context, work func(pgx.Tx) error, doing string, args ...any) error {
	return s.transact(ctx, pgx.TxOptions{}, work, doing, args...)
}

// read runs work in a transaction in which all statements see the same state.
func (s *Store) read(ctx context.Context, work func(pgx.Tx) error, doing string, args ...any) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return s.transact(ctx, options, work, doing, args...)
}

func (s *Store) transact(ctx context.Context, o pgx.TxOptions, work func(pgx.Tx) error, doing string, args ...any) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return translate(ctx, err, true, doing, args...)
	}
	defer conn.Release()
	err = pgx.BeginTxFunc(ctx, conn, o, work)
	return translate(ctx, err, conn.Conn().IsClosed(), doing, args...)
}

// nullTime returns a time, or null for the zero time.
func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// nonNil returns a list that is never null to Postgres, as a nil slice would be.
func nonNil(names []string) []string { return append([]string{}, names...) }
