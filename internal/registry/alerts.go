package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
)

// Alerts reads the oldest events that a destination has yet to get, up to limit of
// them.
func (s *Store) Alerts(ctx context.Context, destination string, limit int) ([]fleet.Event, error) {
	var events []fleet.Event
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select id, at, kind, ended, node, service, component, container, path, detail, since, folded, edge, hostname
			from events join alerts on event = id where destination = $1 order by id limit $2`, destination, limit)
		if err != nil {
			return err
		}
		events, err = collectEvents(rows)
		return err
	}, "read the alerts for the %s", destination)
	return events, err
}

// MarkDelivered records that a destination need not get an event any more.
func (s *Store) MarkDelivered(ctx context.Context, destination string, event int64) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `delete from alerts where destination = $1 and event = $2`, destination, event)
		return err
	}, "record the delivery to the %s", destination)
}

// Alerting returns the destinations that have yet to get alerts. Alerts of events older
// than maxAge are dropped first.
func (s *Store) Alerting(ctx context.Context, maxAge time.Duration) ([]string, error) {
	var destinations []string
	err := s.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			delete from alerts using events where event = id and at < now() - $1::interval`, maxAge)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `select distinct destination from alerts order by destination`)
		if err != nil {
			return err
		}
		destinations, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}, "list the destinations that have alerts to get")
	return destinations, err
}
