package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
)

// openDrift returns the drift that has begun on a node and not ended, oldest first.
func openDrift(ctx context.Context, tx pgx.Tx, node string) ([]fleet.OpenDrift, error) {
	all, err := loadDrift(ctx, tx, node)
	return all[node], err
}

// loadDrift reads, by node, the drift that has begun and not ended; that of all
// nodes if the name is "".
func loadDrift(ctx context.Context, tx pgx.Tx, name string) (map[string][]fleet.OpenDrift, error) {
	rows, err := tx.Query(ctx, `
		select node, kind, service, component, container, path, detail, since
		from drift where $1 in ('', node) order by since, kind, service, component, container, path`, name)
	if err != nil {
		return nil, err
	}
	found := map[string][]fleet.OpenDrift{}
	var node string
	var d fleet.OpenDrift
	_, err = pgx.ForEachRow(rows, []any{&node, &d.Kind, &d.Service, &d.Component, &d.Container, &d.Path, &d.Detail, &d.Since}, func() error {
		found[node] = append(found[node], d)
		return nil
	})
	return found, err
}

// writeDrift replaces the open drift of a node.
func writeDrift(ctx context.Context, tx pgx.Tx, node string, open []fleet.OpenDrift) error {
	batch := &pgx.Batch{}
	batch.Queue(`delete from drift where node = $1`, node)
	for _, d := range open {
		batch.Queue(`
			insert into drift (node, kind, service, component, container, path, detail, since)
			values ($1, $2, $3, $4, $5, $6, $7, $8)`,
			node, d.Kind, d.Service, d.Component, d.Container, d.Path, d.Detail, d.Since)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// lockEvents keeps other transactions from adding events, or folding them.
const lockEvents = `lock table events in share row exclusive mode`

// writeEvents adds events, one transaction after the other: a reader that has seen
// an id has missed none that is smaller. Each destination gets an alert for each of
// them.
func writeEvents(ctx context.Context, tx pgx.Tx, events []fleet.Event, destinations []string) error {
	batch := &pgx.Batch{}
	batch.Queue(lockEvents)
	for i := range events {
		e := &events[i]
		batch.Queue(`
			with event as (
			    insert into events (at, kind, ended, node, service, component, container, path, detail, since, edge, hostname)
			    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $12, $13) returning id
			), alert as (
			    insert into alerts (destination, event) select unnest($11::text[]), id from event
			)
			select id from event`,
			e.At, e.Kind, e.Ended, e.Node, e.Service, e.Component, held(e.Container), held(e.Path), held(e.Detail), e.Since, destinations, e.Edge, held(e.Hostname),
		).QueryRow(func(row pgx.Row) error { return row.Scan(&e.ID) })
	}
	return tx.SendBatch(ctx, batch).Close()
}

// pastHealing returns the events of healing after a time, oldest first.
func pastHealing(ctx context.Context, tx pgx.Tx, after time.Time) ([]fleet.Event, error) {
	rows, err := tx.Query(ctx, `
		select id, at, kind, ended, node, service, component, container, path, detail, since, folded, edge, hostname
		from events where kind in ($1, $2) and at > $3 order by id`,
		fleet.EventReconcile, fleet.EventLeftAlone, after)
	if err != nil {
		return nil, err
	}
	return collectEvents(rows)
}

// Events reads events, oldest first.
func (s *Store) Events(ctx context.Context, q fleet.EventQuery) ([]fleet.Event, error) {
	var events []fleet.Event
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select id, at, kind, ended, node, service, component, container, path, detail, since, folded, edge, hostname from (
			    select * from events
			    where $1 in ('', service) and $2 in ('', node) and ($3::timestamptz is null or at >= $3) and id > $4
			    order by id desc limit nullif($5, 0)
			) newest order by id`, q.Service, q.Node, nullTime(q.From), q.After, q.Limit)
		if err != nil {
			return err
		}
		events, err = collectEvents(rows)
		return err
	}, "read events")
	return events, err
}

// collectEvents reads rows of id, at, kind, ended, node, service, component,
// container, path, detail, since, folded, edge and hostname.
func collectEvents(rows pgx.Rows) ([]fleet.Event, error) {
	events := []fleet.Event{}
	var e fleet.Event
	_, err := pgx.ForEachRow(rows, []any{&e.ID, &e.At, &e.Kind, &e.Ended, &e.Node, &e.Service, &e.Component, &e.Container, &e.Path, &e.Detail, &e.Since, &e.Folded, &e.Edge, &e.Hostname}, func() error {
		events = append(events, e)
		return nil
	})
	return events, err
}
