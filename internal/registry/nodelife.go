package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// ClaimNode gives a node's name to a machine if it may have it, and tells who
// had it before.
func (s *Store) ClaimNode(ctx context.Context, c fleet.Claim) (fleet.ClaimResult, error) {
	var result fleet.ClaimResult
	err := s.write(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into nodes (name) values ($1) on conflict do nothing`, c.Node); err != nil {
			return err
		}
		h := &result.Holder
		err := tx.QueryRow(ctx, `
			select n.machine, n.machine_boot, n.hostname, n.address,
			       coalesce(n.held_since, '0001-01-01 00:00:00Z'), coalesce(s.seen, '0001-01-01 00:00:00Z')
			from nodes n left join node_status s on s.node = n.name
			where n.name = $1 for no key update of n`, c.Node,
		).Scan(&h.Machine.ID, &h.Machine.Boot, &h.Machine.Hostname, &h.Address, &h.Since, &h.Answered)
		if err != nil {
			return err
		}
		if result.Verdict = fleet.Judge(*h, c); result.Verdict != fleet.ClaimGranted {
			return nil
		}
		_, err = tx.Exec(ctx, `
			update nodes set machine = $2, machine_boot = $3, hostname = $4, address = $5,
			       held_since = case when machine = $2 then held_since else now() end
			where name = $1`, c.Node, c.Machine.ID, c.Machine.Boot, c.Machine.Hostname, c.Address)
		return err
	}, "claim node %s", c.Node)
	return result, err
}

// SetDraining says whether a node gets no new container, and tells what should
// run there.
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

// componentsOn are the services that have a component on a node, by name.
func componentsOn(ctx context.Context, tx pgx.Tx, node string) ([]fleet.ServiceOn, error) {
	rows, err := tx.Query(ctx, `
		select service, array_agg(name order by name)
		from components where node = $1 group by service order by service`, node)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[fleet.ServiceOn])
}

// RemoveNode forgets a node, but for its events and what deployments say of it.
// Where a container should be, or a deployment is under way, it is a Conflict;
// a node that nobody knows is gone already.
func (s *Store) RemoveNode(ctx context.Context, node string) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		// Against this lock no component and no port can come to refer to it.
		err := tx.QueryRow(ctx, `select name from nodes where name = $1 for update`, node).Scan(&node)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := mayGo(ctx, tx, node); err != nil {
			return err
		}
		// Of ports only those are left that rest, or that a lost deployment held.
		if _, err := tx.Exec(ctx, `delete from component_routes where node = $1`, node); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `delete from nodes where name = $1`, node)
		return err
	}, "remove node %s", node)
}

// mayGo fails where something is to be on a node, or may come to be.
func mayGo(ctx context.Context, tx pgx.Tx, node string) error {
	there, err := componentsOn(ctx, tx, node)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		var names []string
		for _, s := range there {
			names = append(names, fmt.Sprintf("%s (%s)", s.Service, strings.Join(s.Components, ", ")))
		}
		f := fault.New(fault.Conflict, "node %s is to run %s", node, strings.Join(names, ", ")).
			WithHint("give them another node and deploy them, or undeploy them: mcp undeploy %s", there[0].Service)
		f.Node = node
		return f
	}
	var service string
	err = tx.QueryRow(ctx, `
		select service from deployments
		where outcome is null and definition->'components' @> jsonb_build_array(jsonb_build_object('node', $1::text))
		order by service limit 1`, node).Scan(&service)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = fault.New(fault.Conflict, "a deployment of %s to node %s is under way", service, node).
			WithHint("wait for its end, or cancel it: mcp cancel %s; mcp undeploy %s closes one that was terminated", service, service)
	}
	return err
}
