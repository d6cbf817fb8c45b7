package registry

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// RecordNode records a node as its worker announced it, and returns the work to do
// if its host has booted. A record without a time counts as seen now; one that is
// older than the last changes nothing.
func (s *Store) RecordNode(ctx context.Context, r fleet.NodeRecord) (fleet.Boot, error) {
	var boot fleet.Boot
	err := s.write(ctx, func(tx pgx.Tx) error {
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
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `
			select boot <> $2 and $2 <> '', array(
			    select service from components where node = $1 and active
			    union select service from deployments where outcome is null
			    order by 1)
			from nodes where name = $1`, r.Name, r.Boot).Scan(&boot.New, &boot.Services)
		return err
	}, "record node %s", r.Name)
	return boot, err
}

// MarkRevived records that the containers which a boot of a node's host ended run
// again.
func (s *Store) MarkRevived(ctx context.Context, node, boot string) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update nodes set boot = $2 where name = $1`, node, boot)
		return err
	}, "record that the containers of node %s run again", node)
}

// Nodes lists the nodes whose worker has announced itself, by name.
func (s *Store) Nodes(ctx context.Context) ([]fleet.NodeRecord, error) {
	var nodes []fleet.NodeRecord
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select name, address, runtime, version, seen, boot, key, nullif(signers, '{}')
			from nodes where seen is not null order by name`)
		if err != nil {
			return err
		}
		nodes, err = pgx.CollectRows(rows, pgx.RowToStructByPos[fleet.NodeRecord])
		return err
	}, "list nodes")
	return nodes, err
}

// LastSeen returns when a node's worker last announced itself or answered an
// observation; zero for a node that has done neither.
func (s *Store) LastSeen(ctx context.Context, node string) (time.Time, error) {
	var seen time.Time
	err := s.read(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select coalesce(greatest(n.seen, s.seen), '0001-01-01 00:00:00Z')
			from nodes n left join node_status s on s.node = n.name where n.name = $1`, node).Scan(&seen)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	}, "read when node %s was last seen", node)
	return seen, err
}

// ensureNodes inserts a row for each node that the definition names.
func ensureNodes(ctx context.Context, tx pgx.Tx, definition servicedef.Service) error {
	names := []string{definition.Node}
	for _, c := range definition.Components {
		names = append(names, c.Node)
	}
	// In one order, because two deployments that name the same nodes could
	// otherwise wait for each other.
	_, err := tx.Exec(ctx, `
		insert into nodes (name)
		select distinct name from unnest($1::text[]) as named (name)
		where name <> '' order by name
		on conflict do nothing`, names)
	return err
}
