package registry

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
)

// loadAdopted fills in the adopted containers of releases.
func loadAdopted(ctx context.Context, tx pgx.Tx, names []string, releases map[string]*fleet.Release) error {
	rows, err := tx.Query(ctx, `
		select a.container_id, a.node, a.service, a.component, a.deployment, d.run_id, a.spec
		from adopted_containers a join deployments d on (d.service, d.number) = (a.service, a.deployment)
		where cardinality($1::text[]) = 0 or a.service = any($1)
		order by a.deployment, a.component, a.container_id`, nonNil(names))
	if err != nil {
		return err
	}
	var a fleet.Adopted
	_, err = pgx.ForEachRow(rows, []any{&a.ID, &a.Node, &a.Service, &a.Component, &a.Deployment, &a.Run, &a.Spec}, func() error {
		releases[a.Service].Adopted = append(releases[a.Service].Adopted, a)
		return nil
	})
	return err
}

// commitAdopted records the containers that a release adopts. Their nodes need not
// be named by the definition.
func commitAdopted(ctx context.Context, tx pgx.Tx, adopted []fleet.Adopted) error {
	batch := &pgx.Batch{}
	for _, a := range adopted {
		batch.Queue(`
			insert into adopted_containers (node, container_id, service, component, deployment, spec)
			values ($1, $2, $3, $4, $5, $6)
			on conflict (node, container_id) do update
			set service = excluded.service, component = excluded.component, deployment = excluded.deployment, spec = excluded.spec`,
			a.Node, a.ID, a.Service, a.Component, a.Deployment, a.Spec)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// dropAdopted deletes the adopted containers that are no longer part of the release
// of a clean service: they are gone.
func dropAdopted(ctx context.Context, tx pgx.Tx, service string) error {
	_, err := tx.Exec(ctx, `
		delete from adopted_containers adopted
		where service = $1 and exists (select from services where name = $1 and not dirty)
		  and not exists (
		      select from components c
		      where (c.service, c.name, c.node, c.deployment) = (adopted.service, adopted.component, adopted.node, adopted.deployment))`, service)
	return err
}
