package registry

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// maxUnadmitted bounds the edges that no operator has admitted: anyone who reaches
// Temporal can announce one.
const maxUnadmitted = 100

// AnnounceEdge records that an edge has started, and which publications it has. It returns
// those that it lacks, as many as travel together, if its key is admitted. Another key
// under an admitted name is a Conflict.
func (s *Store) AnnounceEdge(ctx context.Context, r fleet.EdgeRecord) (fleet.EdgeAnswer, error) {
	var answer fleet.EdgeAnswer
	err := s.write(ctx, func(tx pgx.Tx) (err error) {
		answer = fleet.EdgeAnswer{}
		if answer.Admitted, answer.Secret, err = announce(ctx, tx, r); err != nil || !answer.Admitted {
			return err
		}
		if answer.Keys, err = admittedKeys(ctx, tx); err != nil {
			return err
		}
		if err := recordHad(ctx, tx, r); err != nil {
			return err
		}
		answer.Publications, answer.More, err = sendMissing(ctx, tx, r.Name, "", nil)
		return err
	}, "record edge %s", r.Name)
	return answer, err
}

// admittedKeys returns the keys of the admitted edges, sorted.
func admittedKeys(ctx context.Context, tx pgx.Tx) ([]string, error) {
	rows, err := tx.Query(ctx, `select distinct key from edges where admitted_at is not null order by key`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// announce records an edge and locks it. One that is admitted has a secret.
func announce(ctx context.Context, tx pgx.Tx, r fleet.EdgeRecord) (admitted bool, secret []byte, err error) {
	if _, err := tx.Exec(ctx, `
		insert into edges (name, key)
		select $1, $2 where (select count(*) from edges where admitted_at is null) < $3
		on conflict do nothing`, r.Name, r.Key, maxUnadmitted); err != nil {
		return false, nil, err
	}
	var key string
	err = tx.QueryRow(ctx, `select key, admitted_at is not null from edges where name = $1 for no key update`, r.Name).Scan(&key, &admitted)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil, fault.New(fault.Conflict, "edge %s is not recorded: %d others wait to be admitted", r.Name, maxUnadmitted).
			WithHint("forget those that are not yours: mcp edge list; mcp edge remove NAME")
	case err != nil:
		return false, nil, err
	case admitted && key != r.Key:
		return false, nil, fault.New(fault.Conflict, "edge %s was admitted with another key", r.Name).
			WithHint("give this edge another name; where it is the same one and has lost its key: mcp edge remove %s, then admit it again", r.Name)
	}
	err = tx.QueryRow(ctx, `
		update edges set key = $2, version = $3, hostname = $4, addresses = $5, ports = $6, machine = $7, seen = now(),
		       secret = case when admitted_at is not null then coalesce(secret, $8) end
		where name = $1 returning secret`,
		r.Name, r.Key, r.Version, r.Hostname, nonNil(r.Addresses), some(r.Ports), r.Machine, newSecret()).Scan(&secret)
	return admitted, secret, err
}

// recordHad records which publications an edge that has just started has, and that it has
// no others.
func recordHad(ctx context.Context, tx pgx.Tx, r fleet.EdgeRecord) error {
	services, versions := versionColumns(r.Versions)
	_, err := tx.Exec(ctx, `
		insert into edge_publications as known (edge, service, acked)
		select $1, p.service, coalesce(had.version, 0)
		from publications p left join unnest($2::text[], $3::bigint[]) as had (service, version) using (service)
		where had.version > 0 or exists (select from edge_publications e where (e.edge, e.service) = ($1, p.service))
		order by p.service
		on conflict (edge, service) do update set acked = excluded.acked
		where known.acked <> excluded.acked`, r.Name, services, versions)
	return err
}

// AdmitEdge admits the key of an edge and pins it. Without a key in the request it is the
// one that the edge has announced; with one, the edge need not have announced itself yet.
// A key other than the announced one, or than the one that is admitted, is a Conflict; an
// edge of which no key is known is NotFound.
func (s *Store) AdmitEdge(ctx context.Context, a fleet.EdgeAdmission) (fleet.EdgeState, error) {
	var state fleet.EdgeState
	err := s.write(ctx, func(tx pgx.Tx) error {
		if a.Key != "" {
			if _, err := tx.Exec(ctx, `insert into edges (name, key) values ($1, $2) on conflict do nothing`, a.Edge, a.Key); err != nil {
				return err
			}
		}
		var key string
		var admitted bool
		err := tx.QueryRow(ctx, `select key, admitted_at is not null from edges where name = $1 for no key update`, a.Edge).Scan(&key, &admitted)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return unknownEdge(a.Edge)
		case err != nil:
			return err
		case a.Key != "" && a.Key != key && admitted:
			return fault.New(fault.Conflict, "edge %s is admitted with another key: %s", a.Edge, key).
				WithHint("forget it first: mcp edge remove %s", a.Edge)
		case a.Key != "" && a.Key != key:
			return fault.New(fault.Conflict, "edge %s has announced another key: %s", a.Edge, key).
				WithHint("compare it with the one that the edge logs; where that is another, another machine uses the name: mcp edge remove %s", a.Edge)
		}
		if _, err := tx.Exec(ctx, `update edges set admitted_at = coalesce(admitted_at, now()) where name = $1`, a.Edge); err != nil {
			return err
		}
		edges, err := loadEdges(ctx, tx, a.Edge)
		if err == nil {
			state = edges[0]
		}
		return err
	}, "admit edge %s", a.Edge)
	return state, err
}

func unknownEdge(name string) error {
	return fault.New(fault.NotFound, "no edge is called %s", name).WithHint("see the edges: mcp edge list")
}

// RemoveEdge deletes an edge with its key and all that it has acknowledged. The ports to
// which it leads can be allocated again. Deleting one that is not there is not an error:
// the answer to a call that has deleted it may have been lost.
func (s *Store) RemoveEdge(ctx context.Context, edge string) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `delete from edges where name = $1`, edge)
		return err
	}, "remove edge %s", edge)
}

// Edges lists the edges in the order of their names.
func (s *Store) Edges(ctx context.Context) ([]fleet.EdgeState, error) {
	var edges []fleet.EdgeState
	err := s.read(ctx, func(tx pgx.Tx) (err error) {
		edges, err = loadEdges(ctx, tx, "")
		return err
	}, "list edges")
	return edges, err
}

// loadEdges reads the edges, or one. An edge that is not admitted is not stale: nothing
// was sent to it.
func loadEdges(ctx context.Context, tx pgx.Tx, name string) ([]fleet.EdgeState, error) {
	rows, err := tx.Query(ctx, `
		select e.name, e.key, e.version, e.hostname, e.addresses, e.ports, e.machine,
		       coalesce(e.admitted_at, '0001-01-01 00:00:00Z'), coalesce(e.seen, '0001-01-01 00:00:00Z'),
		       array(select p.service from publications p
		             left join edge_publications a on (a.edge, a.service) = (e.name, p.service)
		             where e.admitted_at is not null and p.version > coalesce(a.acked, 0) order by 1),
		       (select jsonb_object_agg(service, problems) from edge_publications where edge = e.name and problems <> '{}'),
		       array(select has.key from jsonb_each_text(e.status->'versions') has
		             left join publications p on p.service = has.key
		             where p.service is null or has.value::bigint > p.version order by 1),
		       e.status
		from edges e where $1 in ('', e.name) order by e.name`, name)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fleet.EdgeState, error) {
		var e fleet.EdgeState
		err := row.Scan(&e.Name, &e.Key, &e.Version, &e.Hostname, &e.Addresses, &e.Ports, &e.Machine,
			&e.Admitted, &e.Seen, &e.Stale, &e.Problems, &e.Unknown, &e.Status)
		return e, err
	})
}

// AdmittedEdges lists the names of the admitted edges, in their order.
func (s *Store) AdmittedEdges(ctx context.Context) ([]string, error) {
	var names []string
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select name from edges where admitted_at is not null order by name`)
		if err != nil {
			return err
		}
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}, "list the admitted edges")
	return names, err
}

// RecordEdgeStatus records what an edge reports of itself. The versions in it are
// acknowledged. The status of an edge that is not admitted is ignored.
func (s *Store) RecordEdgeStatus(ctx context.Context, edge string, status fleet.EdgeStatus) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update edges set status = $2, seen = now() where name = $1 and admitted_at is not null`, edge, status)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		services, versions := versionColumns(status.Versions)
		_, err = tx.Exec(ctx, `
			insert into edge_publications as known (edge, service, acked)
			select $1, service, had.version
			from publications p join unnest($2::text[], $3::bigint[]) as had (service, version) using (service)
			order by service
			on conflict (edge, service) do update set acked = excluded.acked
			where known.acked < excluded.acked`, edge, services, versions)
		return err
	}, "record the status of edge %s", edge)
}

// RecordAcks records which publications edges have. What edges that are not admitted
// report is ignored, and so is an older version than was acknowledged before.
func (s *Store) RecordAcks(ctx context.Context, acks []fleet.EdgeAck) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		names := make([]string, len(acks))
		for i, a := range acks {
			names[i] = a.Edge
		}
		// Edges first and in one order, as in every transaction that records what they have.
		if _, err := tx.Exec(ctx, `
			update edges set seen = now()
			where name in (select name from edges where name = any($1) order by name for no key update)`, names); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			with given as (
			    select distinct on (edge, service) edge, service, version, coalesce(problems, '[]') as problems
			    from jsonb_to_recordset($1) as ack (edge text, service text, version bigint, problems jsonb)
			    order by edge, service, version desc
			)
			insert into edge_publications as known (edge, service, acked, problems)
			select given.edge, given.service, given.version, array(select jsonb_array_elements_text(given.problems))
			from given join publications p using (service) join edges e on e.name = given.edge and e.admitted_at is not null
			order by given.edge, given.service
			on conflict (edge, service) do update set acked = excluded.acked, problems = excluded.problems
			where known.acked <= excluded.acked`, append([]fleet.EdgeAck{}, acks...))
		return err
	}, "record what edges have")
}

// ThinEdges deletes what nothing refers to any more: the publications without routes of
// services that were purged, once every admitted edge has acknowledged them and they are
// older than the time; and the edges that were not admitted and have not announced
// themselves since.
func (s *Store) ThinEdges(ctx context.Context, before time.Time) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(`delete from edges where admitted_at is null and seen < $1`, before)
		batch.Queue(`
			delete from publications p
			where routes = '[]' and at < $1 and not exists (select from services where name = p.service)
			  and not exists (
			      select from edges e left join edge_publications a on (a.edge, a.service) = (e.name, p.service)
			      where e.admitted_at is not null and p.version > coalesce(a.acked, 0))`, before)
		batch.Queue(`delete from edge_publications a where not exists (select from publications p where p.service = a.service)`)
		batch.Queue(forgottenPorts)
		return tx.SendBatch(ctx, batch).Close()
	}, "drop what edges need no more")
}
