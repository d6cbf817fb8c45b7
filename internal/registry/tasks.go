package registry

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
)

// RecordTask records a task and its state. A record that says that a task runs does not
// replace one that says that it has ended.
func (s *Store) RecordTask(ctx context.Context, r fleet.TaskRecord) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		texts := sealedTexts{Message: r.Detail, Log: r.Log}
		sealed, err := texts.seal(tx, taskRow(r.Service, r.ID)...)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			insert into tasks (service, id, kind, name, deployment, try, node, container, image, state, exit_code, detail, log, lines, started_at, ended_at, sealed)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $18)
			on conflict (service, id) do update
			set state = excluded.state, exit_code = excluded.exit_code, detail = excluded.detail, log = excluded.log, lines = excluded.lines,
			    node = excluded.node, container = excluded.container, image = excluded.image,
			    started_at = excluded.started_at, ended_at = excluded.ended_at, sealed = excluded.sealed
			where tasks.state = $17 or excluded.state <> $17`,
			r.Service, r.ID, r.Kind, r.Name, r.Deployment, r.Try, r.Node, r.Container, r.Image, r.State, r.ExitCode, texts.Message, texts.Log, r.Lines,
			nullTime(r.Started), nullTime(r.Ended), fleet.TaskRunning, sealed)
		return err
	}, "record %s %s of %s", r.Kind, r.Name, r.Service)
}

// Tasks reads the runs that a query selects, newest first.
func (s *Store) Tasks(ctx context.Context, q fleet.TaskQuery) ([]fleet.TaskRecord, error) {
	var tasks []fleet.TaskRecord
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select service, id, kind, name, deployment, try, node, container, image, state, exit_code, detail, log, lines,
			       coalesce(started_at, '0001-01-01'), coalesce(ended_at, '0001-01-01'), sealed
			from tasks
			where service = $1 and ($2 = '' or kind = $2) and ($3 = '' or name = $3) and ($4 = 0 or deployment = $4)
			order by recorded_at desc, id desc limit nullif($5, 0)`,
			q.Service, q.Kind, q.Name, q.Deployment, q.Limit)
		if err != nil {
			return err
		}
		tasks, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (fleet.TaskRecord, error) { return scanTask(tx, row) })
		return err
	}, "read the runs of %s", q.Service)
	return tasks, err
}

func scanTask(tx pgx.Tx, row pgx.CollectableRow) (fleet.TaskRecord, error) {
	var r fleet.TaskRecord
	var sealed []byte
	err := row.Scan(&r.Service, &r.ID, &r.Kind, &r.Name, &r.Deployment, &r.Try, &r.Node, &r.Container, &r.Image,
		&r.State, &r.ExitCode, &r.Detail, &r.Log, &r.Lines, &r.Started, &r.Ended, &sealed)
	if err != nil {
		return r, err
	}
	texts := sealedTexts{Message: r.Detail, Log: r.Log}
	err = texts.open(tx, sealed, taskRow(r.Service, r.ID)...)
	r.Detail, r.Log = texts.Message, texts.Log
	return r, err
}

// loseSteps records as lost the steps that run according to the registry, and whose
// deployments have ended.
func loseSteps(ctx context.Context, tx pgx.Tx, service string) error {
	_, err := tx.Exec(ctx, `
		update tasks set state = $2, detail = 'was lost: its deployment was ended in Temporal'
		from deployments
		where tasks.service = $1 and deployments.service = $1 and deployments.number = tasks.deployment and outcome is not null
		      and tasks.kind = $3 and tasks.state = $4`,
		service, fleet.TaskLost, fleet.StepTask, fleet.TaskRunning)
	return err
}
