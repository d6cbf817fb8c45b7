package temporalserver

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/metacircular/mcp/bench/proc"
	"github.com/metacircular/mcp/internal/dev/parts"
)

// watched is a measured server and its Postgres.
type watched struct {
	server   *Server
	postgres *parts.Postgres
}

// usage is the resources that were used in some time.
type usage struct {
	took             time.Duration
	server, postgres time.Duration // of the processor
	// wal is how much Postgres has logged, in bytes; disk and rows are the growth
	// of the databases, in bytes and rows.
	wal, disk, rows float64
}

// while returns what is used while do runs. It vacuums the databases before and
// after, so that their growth is what they keep; the vacuum does not count.
func (w watched) while(ctx context.Context, do func() error) (usage, error) {
	diskBefore, rowsBefore, err := w.kept(ctx)
	if err != nil {
		return usage{}, err
	}
	before, err := w.spent(ctx)
	if err != nil {
		return usage{}, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return usage{}, err
	}
	took := time.Since(began)
	after, err := w.spent(ctx)
	if err != nil {
		return usage{}, err
	}
	disk, rows, err := w.kept(ctx)
	return usage{
		took: took, server: after.server - before.server, postgres: after.postgres - before.postgres,
		wal: after.wal - before.wal, disk: disk - diskBefore, rows: rows - rowsBefore,
	}, err
}

// spent returns what has been used so far.
func (w watched) spent(ctx context.Context) (u usage, err error) {
	server, err := proc.StatOf(w.server.PID())
	if err != nil {
		return u, err
	}
	backends, err := proc.ChildrenOf(w.postgres.PID())
	if err != nil {
		return u, err
	}
	u.server = server.Own
	for _, backend := range backends {
		u.postgres += backend.Own
	}
	postmaster, err := proc.StatOf(w.postgres.PID())
	if err != nil {
		return u, err
	}
	u.postgres += postmaster.Own + postmaster.Ended
	u.wal, err = w.query(ctx, mainDB, "select pg_current_wal_lsn() - '0/0'")
	return u, err
}

// kept returns the size of the databases in bytes and rows.
func (w watched) kept(ctx context.Context) (disk, rows float64, err error) {
	for db := range schemas {
		if _, err := w.psql(ctx, db, "vacuum analyze"); err != nil {
			return 0, 0, err
		}
		n, err := w.query(ctx, db, "select sum(reltuples) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace")
		if err != nil {
			return 0, 0, err
		}
		bytes, err := w.query(ctx, db, "select pg_database_size(current_database())")
		if err != nil {
			return 0, 0, err
		}
		rows, disk = rows+n, disk+bytes
	}
	return disk, rows, nil
}

// memory returns the resident memory of both, in bytes; a page that processes
// share counts once.
func (w watched) memory() (server, postgres int64, err error) {
	if server, err = proc.MemoryOf(w.server.PID()); err != nil {
		return 0, 0, err
	}
	backends, err := proc.ChildrenOf(w.postgres.PID())
	if err != nil {
		return 0, 0, err
	}
	pids := []int{w.postgres.PID()}
	for _, backend := range backends {
		pids = append(pids, backend.PID)
	}
	for _, pid := range pids {
		if bytes, err := proc.MemoryOf(pid); err == nil { // a backend may have ended
			postgres += bytes
		}
	}
	return server, postgres, nil
}

func (w watched) query(ctx context.Context, db, statement string) (float64, error) {
	output, err := w.psql(ctx, db, statement)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(output, 64)
}

// psql runs a statement with Postgres's own client: only internal/registry may
// import a driver.
func (w watched) psql(ctx context.Context, db, statement string) (string, error) {
	address, err := url.Parse(w.postgres.URL())
	if err != nil {
		return "", fmt.Errorf("parse the address of Postgres: %w", err)
	}
	address.Path = "/" + db
	output, err := exec.CommandContext(ctx, "psql", "--no-psqlrc", "-w", "-qAt", "-c", statement, address.String()).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("query Postgres: %w: %s", err, output)
	}
	return strings.TrimSpace(string(output)), nil
}
