package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
)

// RecordAudit adds entries to the audit. One that is there already stays as it is.
func (s *Store) RecordAudit(ctx context.Context, entries []fleet.AuditEntry) error {
	return s.write(ctx, func(tx pgx.Tx) error { return addToAudit(ctx, tx, entries) }, "add to the audit")
}

func addToAudit(ctx context.Context, tx pgx.Tx, entries []fleet.AuditEntry) error {
	batch := &pgx.Batch{}
	for _, e := range entries {
		e = e.Checked()
		phase := "begun"
		if e.Ended() {
			phase = "ended"
		}
		batch.Queue(`
			insert into audit (action, phase, at, who, from_host, claimed, verb, service, component, node, edge, detail,
			                   workflow_id, run_id, outcome, error)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
			on conflict (action, phase) do nothing`,
			e.Key, phase, e.At, e.Who, e.From, e.Claimed, e.Verb, e.Service, e.Component, e.Node, e.Edge, e.Detail,
			e.WorkflowID, e.RunID, e.Outcome, e.Error)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// Audit reads the newest actions that a query selects, oldest first.
func (s *Store) Audit(ctx context.Context, q fleet.AuditQuery) ([]fleet.AuditRecord, error) {
	if q.Limit <= 0 || q.Limit > fleet.AuditLimit {
		q.Limit = fleet.AuditLimit
	}
	list := []fleet.AuditRecord{}
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select b.id, b.at, b.who, b.from_host, b.claimed, b.verb, b.service, b.component, b.node, b.edge, b.detail,
			       b.workflow_id, b.run_id, coalesce(e.outcome, ''), coalesce(e.error, ''), e.at
			from (
			    select * from audit
			    where phase = 'begun' and $1 in ('', service) and $2 in ('', who, who || '@' || from_host)
			      and ($3::timestamptz is null or at >= $3) and ($4::bigint = 0 or id < $4)
			    order by id desc limit $5
			) b left join audit e on e.action = b.action and e.phase = 'ended'
			order by b.id`, q.Service, q.Who, nullTime(q.Since), q.Before, q.Limit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r fleet.AuditRecord, err error) {
			var ended *time.Time
			err = row.Scan(&r.ID, &r.At, &r.Who, &r.From, &r.Claimed, &r.Verb, &r.Service, &r.Component, &r.Node, &r.Edge, &r.Detail,
				&r.WorkflowID, &r.RunID, &r.Outcome, &r.Error, &ended)
			if ended != nil {
				r.Ended = *ended
			}
			return r, err
		})
		return err
	}, "read the audit")
	return list, err
}

// RecordEvents adds events, each once: one of the same kind, subject and beginning is
// left out.
func (s *Store) RecordEvents(ctx context.Context, events []fleet.Event, destinations []string) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockEvents); err != nil {
			return err
		}
		var news []fleet.Event
		for _, e := range events {
			var known bool
			err := tx.QueryRow(ctx, `
				select exists (select from events where kind = $1 and ended = $2 and service = $3 and node = $4 and edge = $5
				    and detail = $6 and since = $7)`,
				e.Kind, e.Ended, e.Service, e.Node, e.Edge, held(e.Detail), e.Since).Scan(&known)
			if err != nil {
				return err
			}
			if !known {
				news = append(news, e)
			}
		}
		if len(news) == 0 {
			return nil
		}
		return writeEvents(ctx, tx, news, destinations)
	}, "record events")
}
