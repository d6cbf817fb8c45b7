package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metacircular/mcp/internal/keyring"
)

// transactionTime bounds a transaction, with the wait for a connection. The
// longest ones, which thin the history, take seconds.
const transactionTime = 30 * time.Second

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
