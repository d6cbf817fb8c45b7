package registry

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
)

// MissingAt returns the publications that an edge has not acknowledged, of the services
// after one in the order of their names, as many as travel together. They count as sent.
// More reports whether there are others. An edge that is not admitted lacks nothing.
func (s *Store) MissingAt(ctx context.Context, edge, after string) (missing []fleet.Publication, more bool, err error) {
	err = s.write(ctx, func(tx pgx.Tx) (err error) {
		missing, more, err = sendMissing(ctx, tx, edge, after, nil)
		return err
	}, "read what edge %s lacks", edge)
	return missing, more, err
}

// sendMissing returns publications that an admitted edge has not acknowledged, of some
// services or of all if these are nil, and marks them as sent.
func sendMissing(ctx context.Context, tx pgx.Tx, edge, after string, services []string) (missing []fleet.Publication, more bool, err error) {
	rows, err := tx.Query(ctx, `
		select p.service, p.version, p.routes
		from edges e cross join publications p
		left join edge_publications a on (a.edge, a.service) = (e.name, p.service)
		where e.name = $1 and e.admitted_at is not null and p.version > coalesce(a.acked, 0)
		  and p.service > $2 and ($3::text[] is null or p.service = any($3))
		order by p.service`, edge, after, services)
	if err != nil {
		return nil, false, err
	}
	all, err := pgx.CollectRows(rows, scanPublication)
	if err != nil || len(all) == 0 {
		return nil, false, err
	}
	missing = fleet.Fitting(all)
	names, versions := make([]string, len(missing)), make([]int64, len(missing))
	for i, p := range missing {
		names[i], versions[i] = p.Service, p.Version
	}
	_, err = tx.Exec(ctx, `
		insert into edge_publications as known (edge, service, sent)
		select $1, service, version from unnest($2::text[], $3::bigint[]) as sent (service, version) order by service
		on conflict (edge, service) do update set sent = excluded.sent where known.sent < excluded.sent`, edge, names, versions)
	return missing, len(missing) < len(all), err
}

// RecordEdgeDrift records what decide concludes from an observation of an edge and from
// the records of it, and returns the publications that the edge lacks according to it. An
// observation that is no newer than the last, or of an edge that is not admitted, is
// ignored. Decide is pure: it runs inside the transaction, and runs again if that is
// retried.
func (s *Store) RecordEdgeDrift(ctx context.Context, o fleet.EdgeObservation, destinations []string, decide func(fleet.EdgeEvidence) fleet.EdgeFindings) (fleet.EdgeFindings, []fleet.Publication, error) {
	var findings fleet.EdgeFindings
	var missing []fleet.Publication
	err := s.write(ctx, func(tx pgx.Tx) error {
		findings, missing = fleet.EdgeFindings{}, nil
		evidence, ignored, err := loadEdgeEvidence(ctx, tx, o)
		if err != nil || ignored {
			return err
		}
		found := decide(evidence)
		if _, err := tx.Exec(ctx, `update edges set observed_at = $2 where name = $1`, o.Edge, o.At); err != nil {
			return err
		}
		if len(found.Missing) > 0 {
			if missing, _, err = sendMissing(ctx, tx, o.Edge, "", found.Missing); err != nil {
				return err
			}
		}
		if !slices.Equal(found.Open, evidence.Open) {
			if err := writeEdgeDrift(ctx, tx, o.Edge, found.Open); err != nil {
				return err
			}
		}
		if len(found.Events) > 0 {
			if err := writeEvents(ctx, tx, found.Events, destinations); err != nil {
				return err
			}
		}
		findings = found
		return nil
	}, "record an observation of edge %s", o.Edge)
	if err != nil {
		return fleet.EdgeFindings{}, nil, err
	}
	return findings, missing, nil
}

// loadEdgeEvidence locks an edge, and reads what a decision on an observation of it
// depends on.
func loadEdgeEvidence(ctx context.Context, tx pgx.Tx, o fleet.EdgeObservation) (e fleet.EdgeEvidence, ignored bool, err error) {
	e.Observation = o
	err = tx.QueryRow(ctx, `
		select coalesce(observed_at >= $2, false), coalesce(seen, admitted_at)
		from edges where name = $1 and admitted_at is not null for no key update`, o.Edge, o.At).Scan(&ignored, &e.Seen)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, true, nil
	}
	if err != nil || ignored {
		return e, ignored, err
	}
	rows, err := tx.Query(ctx, `
		select p.service, p.version, extract(epoch from clock_timestamp() - p.at)::float8, coalesce(a.acked, 0),
		       (p.held <> '{}' or p.stopped <> '{}')
		           and not exists (select from deployments o where o.run_id = p.run and o.outcome is null)
		from publications p left join edge_publications a on (a.edge, a.service) = ($1, p.service)
		order by p.service`, o.Edge)
	if err != nil {
		return e, false, err
	}
	var w fleet.WantedVersion
	var age float64
	_, err = pgx.ForEachRow(rows, []any{&w.Service, &w.Version, &age, &w.Acknowledged, &w.Interim}, func() error {
		w.Age = max(0, time.Duration(age*float64(time.Second)))
		e.Wanted = append(e.Wanted, w)
		return nil
	})
	if err != nil {
		return e, false, err
	}
	e.Open, err = openEdgeDrift(ctx, tx, o.Edge)
	return e, false, err
}

// openEdgeDrift returns the drift that has begun at an edge and not ended, oldest first.
func openEdgeDrift(ctx context.Context, tx pgx.Tx, edge string) ([]fleet.OpenDrift, error) {
	rows, err := tx.Query(ctx, `
		select kind, service, hostname, detail, since from edge_drift where edge = $1 order by since, kind, service, hostname`, edge)
	if err != nil {
		return nil, err
	}
	var open []fleet.OpenDrift
	var d fleet.OpenDrift
	_, err = pgx.ForEachRow(rows, []any{&d.Kind, &d.Service, &d.Hostname, &d.Detail, &d.Since}, func() error {
		open = append(open, d)
		return nil
	})
	return open, err
}

// writeEdgeDrift replaces the open drift of an edge.
func writeEdgeDrift(ctx context.Context, tx pgx.Tx, edge string, open []fleet.OpenDrift) error {
	batch := &pgx.Batch{}
	batch.Queue(`delete from edge_drift where edge = $1`, edge)
	for _, d := range open {
		batch.Queue(`
			insert into edge_drift (edge, kind, service, hostname, detail, since) values ($1, $2, $3, $4, $5, $6)`,
			edge, d.Kind, d.Service, d.Hostname, held(d.Detail), d.Since)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// OpenEdgeDrift records drift at edges that has begun, each with its event, unless it is
// open already or the edge is not admitted.
func (s *Store) OpenEdgeDrift(ctx context.Context, begun []fleet.Event, destinations []string) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		begun := slices.Clone(begun)
		slices.SortStableFunc(begun, byEdge)
		var news []fleet.Event
		for _, e := range begun {
			tag, err := tx.Exec(ctx, `
				insert into edge_drift (edge, kind, service, hostname, detail, since)
				select name, $2, $3, $4, $5, $6 from edges where name = $1 and admitted_at is not null
				on conflict do nothing`, e.Edge, e.Kind, e.Service, e.Hostname, held(e.Detail), e.Since)
			if err != nil {
				return err
			}
			if tag.RowsAffected() > 0 {
				news = append(news, e)
			}
		}
		if len(news) == 0 {
			return nil
		}
		return writeEvents(ctx, tx, news, destinations)
	}, "record drift at edges")
}

// byEdge orders events by what drifts, so that two transactions add them in one order.
func byEdge(a, b fleet.Event) int {
	return cmp.Or(cmp.Compare(a.Edge, b.Edge), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Hostname, b.Hostname))
}
