package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/metacircular/mcp/internal/fault"
)

// kinds maps SQLSTATEs, or their first characters, to kinds of error.
// See https://www.postgresql.org/docs/15/errcodes-appendix.html.
var kinds = map[string]fault.Kind{
	"08":    fault.Unavailable, // connection exception
	"53":    fault.Unavailable, // insufficient resources, such as too many connections
	"53100": fault.DiskFull,
	"57P":   fault.Unavailable, // the server stops, starts, or has crashed
	"58":    fault.Unavailable, // system error, such as of the disk
	"40001": fault.Unavailable, // serialization failure
	"40P01": fault.Unavailable, // deadlock
	"55P03": fault.Unavailable, // lock not available
	"57014": fault.Unavailable, // statement timeout
	"25P03": fault.Unavailable, // transaction timeout
	"25006": fault.Unavailable, // read-only: a standby that is not promoted yet
	"28":    fault.Unauthorized,
	"42501": fault.Unauthorized,
	"3D000": fault.NotFound, // no such database
	"23503": fault.NotFound, // a row refers to one that does not exist
	"23505": fault.Conflict, // a row with that key exists
	"22":    fault.Invalid,  // a value that its column cannot hold
	"23":    fault.Invalid,  // a value that a constraint refuses
	"42P01": fault.Invalid,  // no such table
}

// translate makes a fault from an error that pgx returned. Lost reports whether the
// connection is gone, or was never there.
func translate(ctx context.Context, err error, lost bool, doing string, args ...any) error {
	var made *fault.Error
	var postgres *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf(doing+": %w", append(args, ctx.Err())...)
	case errors.As(err, &made):
		return err
	case errors.As(err, &postgres):
		return ofPostgres(postgres, doing, args...)
	case lost:
		return fault.Wrap(fault.Unavailable, err, doing+": reach Postgres", args...)
	default:
		return fault.Wrap(fault.Internal, err, doing, args...)
	}
}

// ofPostgres translates an error that Postgres itself returned.
func ofPostgres(err *pgconn.PgError, doing string, args ...any) error {
	kind := fault.Internal
	for length := 5; length >= 2; length-- {
		if k, ok := kinds[err.Code[:min(length, len(err.Code))]]; ok {
			kind = k
			break
		}
	}
	f := fault.Wrap(kind, err, doing, args...)
	switch {
	case err.Code == "42P01" || err.Code == "42703":
		f = f.WithHint("bring the tables up to date: mcp migrate")
	case err.Code == "53100":
		f = f.WithHint("make room on the disk of Postgres")
	case err.Code == "3D000":
		f = f.WithHint("create the database that the Postgres URL names")
	case strings.HasPrefix(err.Code, "28"):
		f = f.WithHint("correct the user or the password in the Postgres URL")
	}
	return f
}
