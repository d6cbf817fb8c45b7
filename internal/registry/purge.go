package registry

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// Purge forgets all that there is of a service, and counts it; with dry it only
// counts. It is a Conflict where a container of the service is, or may be left,
// on a node, and where a deployment of it has not ended. A service that nobody
// knows is forgotten already. The caller holds the service's lock, unless dry.
func (s *Store) Purge(ctx context.Context, service string, dry bool) (fleet.Forgotten, error) {
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
		if err := mayForget(ctx, tx, service); err != nil {
			return err
		}
		forgotten, err = forget(ctx, tx, service, dry)
		return err
	}, "purge %s", service)
	return forgotten, err
}

// mayForget fails where something of a service is left but for its rows.
func mayForget(ctx context.Context, tx pgx.Tx, service string) error {
	release, err := loadRelease(ctx, tx, service)
	if err != nil {
		return err
	}
	if members := release.Members(); len(members) > 0 {
		var names []string
		for _, m := range members {
			names = append(names, fmt.Sprintf("%s on %s", m.Container, m.Node))
		}
		return fault.New(fault.Conflict, "release %d of %s has containers: %s", release.Number, service, strings.Join(names, ", ")).
			WithHint("remove them first: mcp undeploy %s", service)
	}
	var open int
	var nodes string
	err = tx.QueryRow(ctx, `
		select coalesce((select max(number) from deployments where service = $1 and outcome is null), 0),
		       coalesce((select string_agg(name, ', ' order by name) from nodes where $2 and name = any($3) and seen is not null), '')`,
		service, release.Dirty, nonNil(release.Touched)).Scan(&open, &nodes)
	switch {
	case err != nil:
		return err
	case open != 0:
		return fault.New(fault.Conflict, "deployment %d of %s has not ended", open, service).
			WithHint("wait for its end, or cancel it: mcp cancel %[1]s; mcp undeploy %[1]s closes one that was terminated", service)
	case nodes != "": // a node that was removed comes back with nothing of ours
		return fault.New(fault.Conflict, "%s is dirty: containers of it may be left on %s", service, nodes).
			WithHint("remove them first: mcp undeploy %s", service)
	}
	return nil
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
