package registry

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// RecordNode writes down what a node's worker said of it. A record without a
// time counts as seen now; an older one than is known changes nothing.
func (s *Store) RecordNode(ctx context.Context, r plan.NodeRecord) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		var seen any
		if !r.Seen.IsZero() {
			seen = r.Seen
		}
		_, err := tx.Exec(ctx, `
			insert into nodes (name, address, runtime, version, seen)
			values ($1, $2, $3, $4, coalesce($5, now()))
			on conflict (name) do update
			set address = excluded.address, runtime = excluded.runtime,
			    version = excluded.version, seen = excluded.seen
			where nodes.seen is null or nodes.seen <= excluded.seen`,
			r.Name, r.Address, r.Runtime, r.Version, seen)
		return err
	}, "record node %s", r.Name)
}

// Nodes lists the nodes whose worker has announced itself, by name.
func (s *Store) Nodes(ctx context.Context) ([]plan.NodeRecord, error) {
	var nodes []plan.NodeRecord
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select name, address, runtime, version, seen
			from nodes where seen is not null order by name`)
		if err != nil {
			return err
		}
		nodes, err = pgx.CollectRows(rows, pgx.RowToStructByPos[plan.NodeRecord])
		return err
	}, "list nodes")
	return nodes, err
}

// ensureNodes makes a row for each node that the definition names.
func ensureNodes(ctx context.Context, tx pgx.Tx, definition servicedef.Service) error {
	names := []string{definition.Node}
	for _, c := range definition.Components {
		names = append(names, c.Node)
	}
	// In one order, or two deployments that name the same nodes could wait
	// for each other.
	_, err := tx.Exec(ctx, `
		insert into nodes (name)
		select distinct name from unnest($1::text[]) as named (name)
		where name <> '' order by name
		on conflict do nothing`, names)
	return err
}
