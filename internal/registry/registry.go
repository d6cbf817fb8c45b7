// Package registry keeps mcp's own tables in Postgres: what should run, who
// holds which port, and every deployment that there was.
//
// Each public method of Store is one transaction, and may be called twice
// with the same request: the caller does not always learn that the first call
// was carried out. Errors are *fault.Error; while Postgres cannot be reached
// they are Unavailable.
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
// may come later, or go and come back.
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
// quotes neither the URL nor what pgx says of it: there is a password in it.
func parse(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the Postgres URL is not valid").
			WithHint("it reads postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.AfterConnect = withoutJIT
	return config, nil
}

// withoutJIT keeps Postgres from compiling queries that take milliseconds: what it
// expects of a service's many deployments would have it do so, for 20 ms each time
// and 130 ms the first. As a parameter of the connection a pooler would refuse it.
func withoutJIT(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "set jit = off")
	return err
}

// Close ends the registry's connections, when those that are in use are done.
func (s *Store) Close() { s.pool.Close() }

// Ping asks whether Postgres answers.
func (s *Store) Ping(ctx context.Context) error {
	return translate(ctx, s.pool.Ping(ctx), true, "ask Postgres for an answer")
}

// write runs work in a transaction. The doing says, for the error, what for.
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

// nullTime is a time, or null for the zero time.
func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// nonNil is a list that is never null to Postgres, as a nil slice would be.
func nonNil(names []string) []string { return append([]string{}, names...) }
