package registry

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

// settling is added to the age of a look: a deployment that ended so shortly
// before the look began counts as seen by it.
const settling = time.Second

// RecordObservation writes down what a look at a node has found. It returns the
// events that this makes, each of which the destinations are to be told of, and
// the releases that are to be deployed again. One that is no newer than the
// last is left out.
func (s *Store) RecordObservation(ctx context.Context, o fleet.Observation, destinations []string) ([]fleet.Event, []fleet.Healing, error) {
	var events []fleet.Event
	var heal []fleet.Healing
	err := s.write(ctx, func(tx pgx.Tx) error {
		late, err := isLate(ctx, tx, &o)
		if err != nil || late {
			return err
		}
		if o.Problem == "" {
			if err := writeContainers(ctx, tx, &o); err != nil {
				return err
			}
		}
		services, err := servicesOn(ctx, tx, o)
		if err != nil {
			return err
		}
		busy, err := busyServices(ctx, tx, o)
		if err != nil {
			return err
		}
		open, err := openDrift(ctx, tx, o.Node)
		if err != nil {
			return err
		}
		past, err := pastHealing(ctx, tx, o.At)
		if err != nil {
			return err
		}
		found := watch.FindDrift(o, services, busy, open)
		told, still := watch.Events(o, found, busy, open)
		if err := writeStatus(ctx, tx, o); err != nil {
			return err
		}
		if err := writeSample(ctx, tx, o); err != nil {
			return err
		}
		if len(told) > 0 {
			if err := writeDrift(ctx, tx, o.Node, still); err != nil {
				return err
			}
		}
		var acts []fleet.Event
		acts, heal = watch.Heal(o, found, services, past)
		if events = slices.Concat(told, acts); len(events) == 0 {
			return nil
		}
		return writeEvents(ctx, tx, events, destinations)
	}, "record a look at node %s", o.Node)
	if err != nil {
		return nil, nil, err
	}
	return events, heal, nil
}

// isLate locks the node, reports whether a look as new as this has been
// recorded, and fills in since when there was no answer. A node whose worker has
// not announced itself, or that was removed, is NotFound.
func isLate(ctx context.Context, tx pgx.Tx, o *fleet.Observation) (late bool, err error) {
	err = tx.QueryRow(ctx, `
		select coalesce(s.observed_at >= $2, false), coalesce(s.unanswered, '0001-01-01 00:00:00Z')
		from nodes n left join node_status s on s.node = n.name
		where n.name = $1 and n.seen is not null for no key update of n`, o.Node, o.At).Scan(&late, &o.Unanswered)
	if errors.Is(err, pgx.ErrNoRows) {
		unknown := fault.New(fault.NotFound, "no node is called %s", o.Node)
		unknown.Node = o.Node
		return false, unknown
	}
	return late, err
}

// servicesOn are those that have a component on the node, or whose containers
// were found there.
func servicesOn(ctx context.Context, tx pgx.Tx, o fleet.Observation) ([]fleet.ServiceRecord, error) {
	rows, err := tx.Query(ctx, `select distinct service from components where node = $1`, o.Node)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	for _, c := range o.Containers {
		if c.Service != "" {
			names = append(names, c.Service)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	return loadServices(ctx, tx, names)
}

// busyServices are those of which a deployment is under way, or was while the
// look was taken.
func busyServices(ctx context.Context, tx pgx.Tx, o fleet.Observation) (map[string]bool, error) {
	rows, err := tx.Query(ctx, `
		select d.service, d.number, d.outcome is null
		from services s join deployments d on d.service = s.name and d.number = s.newest
		where d.outcome is null or d.finished_at > now() - $1::interval`, o.Age+settling)
	if err != nil {
		return nil, err
	}
	busy := map[string]bool{}
	var service string
	var number int
	var underWay bool
	_, err = pgx.ForEachRow(rows, []any{&service, &number, &underWay}, func() error {
		busy[service] = !underWay || o.Abandoned[service] != number
		return nil
	})
	return busy, err
}

// UnderWay are the deployments that have no outcome yet, by service.
func (s *Store) UnderWay(ctx context.Context) (map[string]int, error) {
	underWay := map[string]int{}
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select service, max(number) from deployments where outcome is null group by service`)
		if err != nil {
			return err
		}
		var service string
		var number int
		_, err = pgx.ForEachRow(rows, []any{&service, &number}, func() error {
			underWay[service] = number
			return nil
		})
		return err
	}, "list the deployments under way")
	return underWay, err
}

// writeContainers replaces what the node was last seen to have, and fills in
// when each container was restarted.
func writeContainers(ctx context.Context, tx pgx.Tx, o *fleet.Observation) error {
	before, err := observedOn(ctx, tx, o.Node)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `delete from observed_containers where node = $1`, o.Node); err != nil {
		return err
	}
	columns := []string{
		"node", "name", "container_id", "image", "digest", "service", "component", "deployment", "spec",
		"state", "health", "exit_code", "restarts", "started_at", "restarted",
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"observed_containers"}, columns, pgx.CopyFromSlice(len(o.Containers), func(i int) ([]any, error) {
		c := &o.Containers[i]
		c.Restarted = watch.Restarts(before[c.ID], *c, o.At)
		return []any{
			o.Node, c.Name, c.ID, c.Image, c.Digest, c.Service, c.Component, c.Deployment, c.Spec,
			c.State, c.Health, c.ExitCode, c.Restarts, nullTime(c.Started), append([]time.Time{}, c.Restarted...),
		}, nil
	}))
	return err
}

// observedOn are the restarts of the containers that a node was last seen to
// have, by their ids.
func observedOn(ctx context.Context, tx pgx.Tx, node string) (map[string]*fleet.ObservedContainer, error) {
	rows, err := tx.Query(ctx, `
		select container_id, restarts, coalesce(started_at, '0001-01-01 00:00:00Z'), restarted
		from observed_containers where node = $1`, node)
	if err != nil {
		return nil, err
	}
	found := map[string]*fleet.ObservedContainer{}
	var c fleet.ObservedContainer
	_, err = pgx.ForEachRow(rows, []any{&c.ID, &c.Restarts, &c.Started, &c.Restarted}, func() error {
		found[c.ID] = &fleet.ObservedContainer{ID: c.ID, Restarts: c.Restarts, Started: c.Started, Restarted: slices.Clone(c.Restarted)}
		return nil
	})
	return found, err
}

// writeStatus writes down how the node is. One that did not answer keeps what
// it said last, and its state until that counts.
func writeStatus(ctx context.Context, tx pgx.Tx, o fleet.Observation) error {
	var state, since, seen, unanswered any = fleet.NodeReady, o.At, o.At, nil
	switch {
	case o.Counts():
		state, since, seen, unanswered = fleet.NodeUnreachable, o.Unanswered, nil, o.Unanswered
	case o.Problem != "":
		state, seen, unanswered = nil, nil, o.At
	}
	_, err := tx.Exec(ctx, `
		insert into node_status as known (node, state, since, observed_at, seen, status, unanswered)
		values ($1, coalesce($2, $3), $4, $5, $6, $7, $8)
		on conflict (node) do update
		set state = coalesce($2, known.state), observed_at = excluded.observed_at,
		    since = case when known.state = coalesce($2, known.state) then known.since else excluded.since end,
		    seen = coalesce(excluded.seen, known.seen), status = coalesce(excluded.status, known.status),
		    unanswered = excluded.unanswered`,
		o.Node, state, fleet.NodeUnreachable, since, o.At, seen, o.Status, unanswered)
	return err
}

// WatchedNodes reads the nodes whose worker has announced itself, by name.
func (s *Store) WatchedNodes(ctx context.Context) ([]fleet.WatchedNode, error) {
	var watched []fleet.WatchedNode
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select n.name, s.unanswered is not null as silent
			from nodes n left join node_status s on s.node = n.name
			where n.seen is not null order by n.name`)
		if err != nil {
			return err
		}
		watched, err = pgx.CollectRows(rows, pgx.RowToStructByName[fleet.WatchedNode])
		return err
	}, "list the nodes to look at")
	return watched, err
}

// NodeStates reads the nodes whose worker has announced itself, by name, with
// what the last look at each has found.
func (s *Store) NodeStates(ctx context.Context) ([]fleet.NodeState, error) {
	states := []fleet.NodeState{}
	err := s.read(ctx, func(tx pgx.Tx) error {
		drift, err := loadDrift(ctx, tx, "")
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select n.name, n.address, n.runtime, n.version, n.seen, n.boot,
			       n.draining, coalesce(s.state, ''), coalesce(s.since, '0001-01-01 00:00:00Z'),
			       coalesce(s.seen, '0001-01-01 00:00:00Z'), s.status
			from nodes n left join node_status s on s.node = n.name
			where n.seen is not null order by n.name`)
		if err != nil {
			return err
		}
		states, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (fleet.NodeState, error) {
			n := fleet.NodeState{Drift: []fleet.OpenDrift{}}
			err := row.Scan(&n.Name, &n.Address, &n.Runtime, &n.Version, &n.Seen, &n.Boot, &n.Draining, &n.State, &n.Since, &n.Answered, &n.Status)
			n.Drift = append(n.Drift, drift[n.Name]...)
			return n, err
		})
		return err
	}, "read the state of the nodes")
	return states, err
}

// nullTime makes of the zero time a null.
func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
