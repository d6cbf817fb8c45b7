package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/loopback"
)

// Option changes how the registry is reached.
type Option func(*options)

type options struct{ insecure bool }

// Insecure allows connections without encryption to other machines.
func Insecure(allowed bool) Option { return func(o *options) { o.insecure = allowed } }

// CheckURL fails if a Postgres URL is not valid, or leads to another machine without
// encryption. It does not connect.
func CheckURL(url string, with ...Option) error {
	_, err := parse(url, with...)
	return err
}

// UserOf is the role that a Postgres URL connects as.
func UserOf(url string) (string, error) {
	config, err := parse(url, Insecure(true))
	if err != nil {
		return "", err
	}
	return config.ConnConfig.User, nil
}

// parse reads a Postgres URL, which may hold options of the pool. The error
// quotes neither the URL nor pgx's error, because the URL holds a password.
func parse(url string, with ...Option) (*pgxpool.Config, error) {
	var o options
	for _, option := range with {
		option(&o)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the Postgres URL is not valid").
			WithHint("write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	if !o.insecure {
		if err := keepPlainHere(config.ConnConfig); err != nil {
			return nil, err
		}
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout) // the pool's own has no deadline
		defer cancel()
		_, err := conn.Exec(ctx, setUp)
		return err
	}
	return config, nil
}

// keepPlainHere refuses a configuration that may connect to another machine without
// encryption: all of pgx's values of sslmode but require, verify-ca and verify-full do,
// including the default. What is left that is not encrypted reaches only this machine.
func keepPlainHere(config *pgx.ConnConfig) error {
	attempts := []*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}}
	here := false
	for _, attempt := range append(attempts, config.Fallbacks...) {
		if attempt.TLSConfig != nil {
			continue
		}
		here = true
		if err := loopback.Check(context.Background(), attempt.Host); err != nil {
			f := fault.Of(err)
			f.Message = "Postgres: " + f.Message
			return f.WithHint("add ?sslmode=verify-full to the URL, or sslmode=require for a certificate that is not checked; " +
				"where the network itself is encrypted, set [postgres] insecure = true")
		}
	}
	if here {
		config.DialFunc = loopback.Dialer(dialTime).DialContext
	}
	return nil
}

// connectTimeout is how long Postgres may take to answer a new connection, and
// then to set it up.
const connectTimeout = 5 * time.Second

// setUp sets up a connection. Postgres compiles no queries that take milliseconds:
// its estimate for a service with many deployments makes it do so, for 20 ms each
// time and 130 ms the first. It waits for no lock longer than an attempt of a step
// lasts, and ends a statement or a transaction whose client has vanished, because
// others wait for their locks. These are not parameters of the connection, because a
// pooler would refuse them.
const setUp = `set jit = off; set lock_timeout = '5s'; set statement_timeout = '30s'; set idle_in_transaction_session_timeout = '30s'`

// dialTime bounds a connection to this machine.
const dialTime = 5 * time.Second
