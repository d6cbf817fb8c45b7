package registry

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// ClaimNode gives a node's name to a machine if judge grants the claim, and returns
// the holder before it. A key that differs from the node's last one is an event. Judge is
// pure: it runs inside the transaction, and runs again if that is retried.
func (s *Store) ClaimNode(ctx context.Context, c fleet.Claim, destinations []string, judge func(fleet.Holder, fleet.Claim) fleet.Verdict) (fleet.ClaimResult, error) {
	var result fleet.ClaimResult
	err := s.write(ctx, func(tx pgx.Tx) error {
		result = fleet.ClaimResult{}
		if _, err := tx.Exec(ctx, `insert into nodes (name) values ($1) on conflict do nothing`, c.Node); err != nil {
			return err
		}
		h := &result.Holder
		err := tx.QueryRow(ctx, `
			select n.machine, n.machine_boot, n.hostname, n.address,
			       coalesce(n.held_since, '0001-01-01 00:00:00Z'), coalesce(s.seen, '0001-01-01 00:00:00Z'), n.key
			from nodes n left join node_status s on s.node = n.name
			where n.name = $1 for no key update of n`, c.Node,
		).Scan(&h.Machine.ID, &h.Machine.Boot, &h.Machine.Hostname, &h.Address, &h.Since, &h.Answered, &result.Key)
		if err != nil {
			return err
		}
		if result.Verdict = judge(*h, c); result.Verdict != fleet.ClaimGranted {
			return nil
		}
		_, err = tx.Exec(ctx, `
			update nodes set machine = $2, machine_boot = $3, hostname = $4, address = $5, key = $6, signers = $7,
			       held_since = case when machine = $2 then held_since else now() end
			where name = $1`, c.Node, c.Machine.ID, c.Machine.Boot, c.Machine.Hostname, c.Address, c.Key, nonNil(c.Signers))
		if err != nil || result.Key == "" || result.Key == c.Key {
			return err
		}
		now := time.Now()
		return writeEvents(ctx, tx, []fleet.Event{{At: now, Since: now, Node: c.Node, Drift: fleet.KeyChanged(result.Key, c.Key)}}, destinations)
	}, "claim node %s", c.Node)
	return result, err
}

// SetDraining records whether a node gets no new container, and returns the
// services that should run there.
func (s *Store) SetDraining(ctx context.Context, node string, draining bool) ([]fleet.ServiceOn, error) {
	var there []fleet.ServiceOn
	err := s.write(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update nodes set draining = $2 where name = $1 and seen is not null`, node, draining)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.NotFound, "no node is called %s", node)
		}
		there, err = componentsOn(ctx, tx, node)
		return err
	}, "record whether node %s is draining", node)
	return there, err
}

// componentsOn returns the services that have a component on a node, by name.
func componentsOn(ctx context.Context, tx pgx.Tx, node string) ([]fleet.ServiceOn, error) {
	rows, err := tx.Query(ctx, `
		select service, array_agg(name order by name)
		from components where node = $1 group by service order by service`, node)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[fleet.ServiceOn])
}

// RemoveNode deletes a node, but for its events and the deployments that name it,
// unless may returns an error, and reports whether any record names it. A node that is
// not recorded is gone already. May is pure: it runs inside the transaction, and runs
// again if that is retried.
func (s *Store) RemoveNode(ctx context.Context, node string, may func(fleet.NodeUse) error) (named bool, err error) {
	err = s.write(ctx, func(tx pgx.Tx) error {
		// Under this lock no component and no port can come to refer to it.
		err := tx.QueryRow(ctx, `select name from nodes where name = $1 for update`, node).Scan(&node)
		if errors.Is(err, pgx.ErrNoRows) {
			return tx.QueryRow(ctx, `
				select exists (
				    select from deployments
				    where $1 = any(nodes) or definition->'components' @> jsonb_build_array(jsonb_build_object('node', $1::text)))`,
				node).Scan(&named)
		}
		if err != nil {
			return err
		}
		named = true
		use, err := useOf(ctx, tx, node)
		if err != nil {
			return err
		}
		if err := may(use); err != nil {
			return err
		}
		// The ports that are left rest, or were held by a lost deployment.
		if _, err := tx.Exec(ctx, `delete from component_routes where node = $1`, node); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `delete from nodes where name = $1`, node)
		return err
	}, "remove node %s", node)
	return named, err
}

// useOf returns what a node is needed for.
func useOf(ctx context.Context, tx pgx.Tx, node string) (use fleet.NodeUse, err error) {
	use.Node = node
	if use.Services, err = componentsOn(ctx, tx, node); err != nil {
		return use, err
	}
	err = tx.QueryRow(ctx, `
		select service from deployments
		where outcome is null and definition->'components' @> jsonb_build_array(jsonb_build_object('node', $1::text))
		order by service limit 1`, node).Scan(&use.Deploying)
	if errors.Is(err, pgx.ErrNoRows) {
		return use, nil
	}
	return use, err
}
