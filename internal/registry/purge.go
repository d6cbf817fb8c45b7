package registry

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
)

// Purge deletes every row of a service and counts them; with dry it only counts.
// It returns the error of may, if that returns one. A service that is not recorded
// is purged already. The caller holds the service's lock, unless dry. May is pure:
// it runs inside the transaction, and runs again if that is retried.
func (s *Store) Purge(ctx context.Context, service string, dry bool, may func(fleet.Remains) error) (fleet.Forgotten, error) {
	var forgotten fleet.Forgotten
	transact := s.write
	if dry {
		transact = s.read
	}
	err := transact(ctx, func(tx pgx.Tx) (err error) {
		if !dry {
			if err := lockService(ctx, tx, service); err != nil {
				return err
			}
		}
		left, err := remainsOf(ctx, tx, service)
		if err != nil {
			return err
		}
		if err := may(left); err != nil {
			return err
		}
		forgotten, err = forget(ctx, tx, service, dry)
		return err
	}, "purge %s", service)
	return forgotten, err
}

// remainsOf returns the parts of a service that keep it from being purged.
func remainsOf(ctx context.Context, tx pgx.Tx, service string) (left fleet.Remains, err error) {
	if left.Release, err = loadRelease(ctx, tx, service); err != nil {
		return left, err
	}
	err = tx.QueryRow(ctx, `
		select coalesce(max(number), 0) from deployments where service = $1 and outcome is null`, service).Scan(&left.UnderWay)
	return left, err
}

// forget deletes the rows of a service, or only counts them.
func forget(ctx context.Context, tx pgx.Tx, service string, dry bool) (fleet.Forgotten, error) {
	forgotten := fleet.Forgotten{Service: service}
	err := tx.QueryRow(ctx, `select count(*) from services where name = $1 and definition is not null`, service).Scan(&forgotten.Definitions)
	if err != nil {
		return forgotten, err
	}
	doing := "delete"
	if dry {
		doing = "select"
	} else if _, err := tx.Exec(ctx, `update services set release = null where name = $1`, service); err != nil {
		return forgotten, err
	}
	for _, rows := range []struct {
		of    string
		count *int
	}{
		{"events where service", &forgotten.Events},
		{"drift where service", &forgotten.Drift},
		{"component_routes where service", &forgotten.Ports},
		{"adopted_containers where service", new(int)}, // of containers that are gone
		{"deployments where service", &forgotten.Deployments},
		{"secrets where service", &forgotten.Secrets},
		{"services where name", new(int)},
	} {
		tag, err := tx.Exec(ctx, doing+" from "+rows.of+" = $1", service)
		if err != nil {
			return forgotten, err
		}
		*rows.count = int(tag.RowsAffected())
	}
	return forgotten, nil
}
