package registry

import (
	"context"
	"errors"
	"maps"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// CommitRelease makes a deployment the service's release. The ports of
// containers that are no longer part of it stay held until FinishDeployment,
// because those containers may still run. It returns the images of the
// service's former releases, and what edges have to serve: the routes that publish makes
// of the release. A repeated call returns the same. It is a Conflict when the deployment
// has been closed, or a newer one committed. Publish is pure: it runs inside the
// transaction, and runs again if that is retried.
func (s *Store) CommitRelease(ctx context.Context, r fleet.CommitRequest, publish func(fleet.PublicationSource) []fleet.EdgeRoute) (fleet.Committed, error) {
	var result fleet.Committed
	err := s.write(ctx, func(tx pgx.Tx) error {
		if err := lockService(ctx, tx, r.Service); err != nil {
			return err
		}
		closed, committed, err := deploymentState(ctx, tx, r.Service, r.Deployment, r.Run)
		switch {
		case err != nil:
			return err
		case closed && committed:
			result.Publishing, err = publishedRelease(ctx, tx, r) // a late repetition
			return err
		case closed:
			return superseded(r.Service, r.Deployment)
		}
		changed, err := commitComponents(ctx, tx, r)
		if err != nil {
			return err
		}
		if err := commitPorts(ctx, tx, r, changed); err != nil {
			return err
		}
		if err := commitAdopted(ctx, tx, r.Adopted); err != nil {
			return err
		}
		if err := commitJobs(ctx, tx, r.Service, r.Jobs); err != nil {
			return err
		}
		routed, err := commitService(ctx, tx, r)
		if err != nil {
			return err
		}
		if routed || len(r.Claims) > 0 {
			if result.Publishing, err = commitRoutes(ctx, tx, r, publish); err != nil {
				return err
			}
		}
		if r.Secrets {
			if result.Secrets, err = commitSecrets(ctx, tx, r); err != nil {
				return err
			}
		}
		result.Former, err = formerImages(ctx, tx, r)
		return err
	}, "commit release %d of %s", r.Deployment, r.Service)
	return result, err
}

// commitRoutes makes the claims of the deployment those of the release, and publishes its
// routes.
func commitRoutes(ctx context.Context, tx pgx.Tx, r fleet.CommitRequest, publish func(fleet.PublicationSource) []fleet.EdgeRoute) (*fleet.Publishing, error) {
	run, err := runOf(ctx, tx, r.Service, r.Deployment, r.Run)
	if err != nil {
		return nil, err
	}
	if err := commitClaims(ctx, tx, r, run); err != nil {
		return nil, err
	}
	if err := commitAddresses(ctx, tx, r.Addresses); err != nil {
		return nil, err
	}
	made, err := publisher{service: r.Service, run: run, commits: true}.publish(ctx, tx, publish)
	if err != nil || made.Publication.Version == 0 {
		return nil, err
	}
	return &made, nil
}

// commitAddresses records where nodes publish routes.
func commitAddresses(ctx context.Context, tx pgx.Tx, of map[string]string) error {
	nodes, addresses := []string{}, []string{}
	for node, address := range of {
		nodes, addresses = append(nodes, node), append(addresses, address)
	}
	_, err := tx.Exec(ctx, `
		with given as (select * from unnest($1::text[], $2::text[]) as given (name, address)),
		     locked as (select n.name, given.address from nodes n join given using (name)
		                where given.address not in ('', n.address) order by n.name for no key update of n)
		update nodes n set address = locked.address from locked where n.name = locked.name`, nodes, addresses)
	return err
}

// commitService makes the deployment the service's release, and reports whether edges
// serve the service, or are about to: it has an endpoint, or a publication with routes.
func commitService(ctx context.Context, tx pgx.Tx, r fleet.CommitRequest) (routed bool, err error) {
	digests := maps.Clone(r.StepImages)
	if digests == nil {
		digests = map[string]string{}
	}
	for _, m := range r.Members {
		digests[m.Image] = m.Digest
	}
	for _, job := range r.Jobs {
		digests[job.Image] = job.Digest
	}
	if _, err := tx.Exec(ctx, `
		update deployments
		set digests = $3, released_at = case when $4 then coalesce(released_at, now()) end
		where service = $1 and number = $2`, r.Service, r.Deployment, digests, r.Succeeds); err != nil {
		return false, err
	}
	if err := redefine(ctx, tx, r); err != nil {
		return false, err
	}
	// The definition of a service that was undeployed is deleted, so that it is not
	// pending.
	if _, err := tx.Exec(ctx, `
		update services set definition = null, definition_hash = null
		where name = $1 and exists (select from deployments where service = $1 and number = $2 and verb = 'undeploy')`,
		r.Service, r.Deployment); err != nil {
		return false, err
	}
	err = tx.QueryRow(ctx, `
		with dropped as (update jobs set released = false where service = $1 and released and name <> all($5))
		update services set release = $2, active = $3
		where name = $1 and (release is null or release <= $2)
		returning exists (select from edge_claims where service = $1)
		       or exists (select from publications where service = $1 and (routes <> '[]' or run = $4))`,
		r.Service, r.Deployment, r.Active, r.Run, jobNames(r.Jobs)).Scan(&routed)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, fault.New(fault.Conflict, "a newer release of %s has been committed", r.Service)
	}
	return routed, err
}

// redefine corrects the recorded definition of a deployment.
func redefine(ctx context.Context, tx pgx.Tx, r fleet.CommitRequest) error {
	if r.Definition == nil {
		return nil
	}
	definition, err := sealDefinition(tx, *r.Definition)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update deployments set definition = $3, definition_hash = $4 where service = $1 and number = $2`,
		r.Service, r.Deployment, definition, r.Definition.Hash())
	return err
}

// commitComponents makes the service's components those of the release, and
// returns the names of those that have another container than before.
func commitComponents(ctx context.Context, tx pgx.Tx, r fleet.CommitRequest) (changed []string, err error) {
	names := make([]string, 0, len(r.Members))
	for _, m := range r.Members {
		names = append(names, m.Component)
		// Only the row before the statement shows whether the container is new.
		var isNew bool
		err := tx.QueryRow(ctx, `
			with former as (select deployment, node from components where service = $1 and name = $2)
			insert into components (service, name, container, node, deployment, image, digest, spec, active, address)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			on conflict (service, name) do update
			set container = excluded.container, node = excluded.node, deployment = excluded.deployment,
			    image = excluded.image, digest = excluded.digest, spec = excluded.spec, active = excluded.active,
			    address = excluded.address
			returning not exists (select from former where former.deployment = components.deployment and former.node = components.node)`,
			r.Service, m.Component, m.Container, m.Node, m.Deployment, m.Image, m.Digest, m.Spec, m.Active, m.Address).Scan(&isNew)
		if err != nil {
			return nil, err
		}
		if isNew {
			changed = append(changed, m.Component)
		}
	}
	_, err = tx.Exec(ctx, `delete from components where service = $1 and name <> all($2)`, r.Service, names)
	return changed, err
}

// commitPorts records which ports the release uses. The members name those of their
// routes. A new container uses the static ports of the request, and those that its
// deployment asked for; one that was left alone those that it used before.
func commitPorts(ctx context.Context, tx pgx.Tx, r fleet.CommitRequest, changed []string) error {
	batch := &pgx.Batch{}
	batch.Queue(`
		update component_routes set committed = false
		where service = $1 and committed
		  and (route <> '' or component = any($2)
		       or component not in (select name from components where service = $1))`,
		r.Service, nonNil(changed))
	batch.Queue(`
		update component_routes held set committed = true, rests_until = null
		from components c
		where held.service = $1 and held.route = ''
		  and (c.service, c.name, c.node, c.deployment) = (held.service, held.component, held.node, held.deployment)`,
		r.Service)
	for _, m := range r.Members {
		for _, route := range m.Routes {
			// The container holds the port, even if its row is gone.
			batch.Queue(`
				insert into component_routes as held
				    (node, protocol, host_port, service, component, route, deployment, committed, port, mode, hostname)
				values ($1, $2, $3, $4, $5, $6, $7, true, $8, $9, $10)
				on conflict (node, protocol, host_port) do update
				set component = excluded.component, route = excluded.route, deployment = excluded.deployment,
				    committed = true, rests_until = null,
				    port = excluded.port, mode = excluded.mode, hostname = excluded.hostname
				where held.service = excluded.service`,
				m.Node, route.Transport(), route.HostPort, r.Service, m.Component, route.Name, m.Deployment, route.Port, route.Mode, route.Hostname)
		}
	}
	for _, p := range r.Static {
		batch.Queue(`
			insert into component_routes as held (node, protocol, host_port, service, component, deployment, committed, port)
			values ($1, $2, $3, $4, $5, $6, true, $3)
			on conflict (node, protocol, host_port) do update
			set component = excluded.component, route = '', deployment = excluded.deployment,
			    committed = true, rests_until = null, port = excluded.port, mode = '', hostname = ''
			where held.service = excluded.service`,
			p.Node, p.Protocol, p.Port, r.Service, p.Component, r.Deployment)
	}
	return tx.SendBatch(ctx, batch).Close()
}
