package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metacircular/mcp/internal/keyring"
)

const (
	// connectTimeout is how long Postgres may take to answer a new connection, and
	// then to set it up.
	connectTimeout = 5 * time.Second
	// transactionTime bounds a transaction, with the wait for a connection. The
	// longest ones, which thin the history, take seconds.
	transactionTime = 30 * time.Second
)

// setUp sets up a connection. Postgres compiles no queries that take milliseconds:
// its estimate for a service with many deployments makes it do so, for 20 ms each
// time and 130 ms the first. It waits for no lock longer than an attempt of a step
// lasts, and ends a statement or a transaction whose client has vanished, because
// others wait for their locks. These are no parameters of the connection, because a
// pooler would refuse them.
const setUp = `set jit = off; set lock_timeout = '5s'; set statement_timeout = '30s'; set idle_in_transaction_session_timeout = '30s'`

// Store is the registry. It is safe for use by many goroutines.
type Store struct {
	pool *pgxpool.Pool
	// longest bounds a transaction.
	longest time.Duration
	keys    *keyring.Keys // nil for none
}

// Open returns the registry at a Postgres URL. It does not connect: Postgres
// may start later, or restart. It encrypts nothing.
func Open(ctx context.Context, url string, with ...Option) (*Store, error) {
	return OpenSealed(ctx, url, nil, with...)
}

// OpenSealed is Open of a registry that encrypts definitions, outputs and failures with
// the current one of the keys. Nil keys encrypt nothing.
func OpenSealed(ctx context.Context, url string, keys *keyring.Keys, with ...Option) (*Store, error) {
	config, err := parse(url, with...)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, translate(ctx, err, true, "open the registry")
	}
	return &Store{pool: pool, longest: transactionTime, keys: keys}, nil
}

// Close closes the registry's connections, after those in use are released.
func (s *Store) Close() { s.pool.Close() }

// Ping checks that Postgres answers.
func (s *Store) Ping(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, s.longest)
	defer cancel()
	return translate(ctx, s.late(limited, s.pool.Ping(limited)), true, "ping Postgres")
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
	limited, cancel := context.WithTimeout(ctx, s.longest)
	defer cancel()
	conn, err := s.pool.Acquire(limited)
	if err != nil {
		return translate(ctx, s.late(limited, err), true, doing, args...)
	}
	defer conn.Release()
	err = pgx.BeginTxFunc(limited, conn, o, func(tx pgx.Tx) error { return work(sealing{tx, s.keys}) })
	return translate(ctx, s.late(limited, err), conn.Conn().IsClosed(), doing, args...)
}

// late returns err, or the error of a Postgres that has not answered within the bound
// of the call.
func (s *Store) late(limited context.Context, err error) error {
	if err == nil || limited.Err() == nil {
		return err
	}
	return fmt.Errorf("no answer within %s", s.longest)
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
