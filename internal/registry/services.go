package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// Release reads what a service should run. A service that was never deployed has a
// Release with only its name.
func (s *Store) Release(ctx context.Context, service string) (fleet.Release, error) {
	release := fleet.Release{Service: service}
	err := s.read(ctx, func(tx pgx.Tx) (err error) {
		release, err = loadRelease(ctx, tx, service)
		return err
	}, "read the release of %s", service)
	return release, err
}

// loadRelease reads what a service should run, and what limits its next deploy.
func loadRelease(ctx context.Context, tx pgx.Tx, service string) (fleet.Release, error) {
	release := fleet.Release{Service: service}
	records, err := loadServices(ctx, tx, []string{service})
	if err != nil {
		return release, err
	}
	if len(records) > 0 {
		release = records[0].Release
	}
	return release, loadSurroundings(ctx, tx, &release)
}

// loadSurroundings fills in the nodes that are draining, the containers of other
// services with names that the service's may have, the admitted edges with the hosts of the
// nodes, and the service's secrets, in one statement.
func loadSurroundings(ctx context.Context, tx pgx.Tx, release *fleet.Release) error {
	rows, err := tx.Query(ctx, `
		select 'draining', '', name, '', '{}'::jsonb, '{}'::jsonb, '{}'::jsonb from nodes where draining
		union all
		select 'other', service, node, container, '{}', '{}', '{}' from components
		where service <> $1 and (container = $1 or starts_with(container, $1 || '-'))
		union all
		select 'edge', '', name, '', machine, ports, '{}' from edges where admitted_at is not null
		union all
		select 'host', '', name, address, jsonb_build_object('id', machine, 'boot', machine_boot, 'hostname', hostname), '{}', '{}'
		from nodes where exists (select from edges where admitted_at is not null)
		union all
		select 'secret', '', name, '', '{}', '{}', kept from (`+keptSecrets+`) secret
		order by 1, 2, 3, 4`, release.Service)
	if err != nil {
		return err
	}
	var kind, service, name, detail string
	var machine fleet.Machine
	var ports map[int]int
	var kept fleet.KeptSecret
	_, err = pgx.ForEachRow(rows, []any{&kind, &service, &name, &detail, &machine, &ports, &kept}, func() error {
		switch kind {
		case "draining":
			release.Draining = append(release.Draining, name)
		case "other":
			release.Others = append(release.Others, fleet.Other{Service: service, Node: name, Container: detail})
		case "edge":
			release.Edges = append(release.Edges, fleet.EdgeHost{Name: name, Machine: machine, Ports: some(ports)})
		case "host":
			if release.Hosts == nil {
				release.Hosts = map[string]fleet.NodeHost{}
			}
			release.Hosts[name] = fleet.NodeHost{Address: detail, Machine: machine}
		}
		if kind == "secret" {
			if release.Secrets == nil {
				release.Secrets = map[string]fleet.KeptSecret{}
			}
			release.Secrets[name] = kept
		}
		machine, ports, kept = fleet.Machine{}, nil, fleet.KeptSecret{} // what a row lacks is not that of the row before
		return nil
	})
	return err
}

// Services reads the named services, or all if there are no names, in the
// order of their names. One that was never deployed or synced is omitted. It takes
// four statements, however many services there are.
func (s *Store) Services(ctx context.Context, names []string) ([]fleet.ServiceRecord, error) {
	var records []fleet.ServiceRecord
	err := s.read(ctx, func(tx pgx.Tx) (err error) {
		records, err = loadServices(ctx, tx, names)
		for _, r := range records {
			if r.Release.Definition != nil {
				*r.Release.Definition = r.Release.Definition.WithoutContents()
			}
		}
		return err
	}, "read services")
	return records, err
}

// ServiceNames lists the services. It decrypts nothing.
func (s *Store) ServiceNames(ctx context.Context) (names []string, err error) {
	err = s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select name from services order by name`)
		if err != nil {
			return err
		}
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}, "list services")
	return names, err
}

// RecordDefinition records the definition of a service that the operator gave, and
// reports whether it differs from the last. It touches no deployment, and waits for
// none.
func (s *Store) RecordDefinition(ctx context.Context, definition servicedef.Service) (changed bool, err error) {
	err = s.write(ctx, func(tx pgx.Tx) (err error) {
		changed, err = recordDefinition(ctx, tx, definition)
		return err
	}, "record the definition of %s", definition.Name)
	return changed, err
}

func recordDefinition(ctx context.Context, tx pgx.Tx, definition servicedef.Service) (changed bool, err error) {
	stored, err := sealDefinition(tx, definition)
	if err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, `
		insert into services (name, definition, definition_hash) values ($1, $2, $3)
		on conflict (name) do update
		set definition = excluded.definition, definition_hash = excluded.definition_hash
		where services.definition_hash is distinct from excluded.definition_hash`,
		definition.Name, stored, definition.Hash())
	return tag.RowsAffected() > 0, err
}

// loadServices reads services with their releases.
func loadServices(ctx context.Context, tx pgx.Tx, names []string) ([]fleet.ServiceRecord, error) {
	rows, err := tx.Query(ctx, `
		select s.name, coalesce(s.release, 0), s.newest,
		       coalesce((select run_id from deployments d where d.service = s.name and d.number = s.newest), ''),
		       s.active, s.dirty, released.definition,
		       array(
		           select name from nodes
		           where (seen is not null or held_since is not null) and name in (
		               select unnest(coalesce(d.nodes, array(
		                   select component->>'node' from jsonb_array_elements(nullif(d.definition->'components', 'null')) component)))
		               from deployments d
		               where d.service = s.name and d.number >= coalesce((
		                   select max(number) from deployments clean
		                   where clean.service = s.name and not clean.dirty and clean.outcome in ('succeeded', 'unchanged')), 0))
		           order by name),
		       coalesce((select max(number) from deployments d
		                 where d.service = s.name and d.outcome is null and d.released_at is null), 0),
		       released.released_at,
		       coalesce(released.outcome is null and released.released_at is not null, false),
		       s.definition is not null and s.definition_hash is distinct from released.definition_hash,
		       coalesce((select number from deployments d where d.service = s.name and d.number = s.newest and d.outcome = 'lost'), 0),
		       (select jsonb_object_agg(name, jsonb_build_object('name', name, 'image', image, 'digest', digest, 'paused', paused_at, 'paused_by', paused_by))
		        from jobs where service = s.name and released),
		       (select jsonb_object_agg(step.key, step.value)
		        from jsonb_each(released.digests) step
		        where not exists (select from components c where c.service = s.name and c.image = step.key)
		          and not exists (select from jobs j where j.service = s.name and j.released and j.image = step.key))
		from services s
		left join deployments released on released.service = s.name and released.number = s.release
		where cardinality($1::text[]) = 0 or s.name = any($1)
		order by s.name`, nonNil(names))
	if err != nil {
		return nil, err
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (fleet.ServiceRecord, error) { return scanService(tx, row) })
	if err != nil {
		return nil, err
	}
	releases := make(map[string]*fleet.Release, len(records))
	for i := range records {
		releases[records[i].Release.Service] = &records[i].Release
	}
	if err := loadMembers(ctx, tx, names, releases); err != nil {
		return nil, err
	}
	return records, loadAdopted(ctx, tx, names, releases)
}

func scanService(tx pgx.Tx, row pgx.CollectableRow) (fleet.ServiceRecord, error) {
	var record fleet.ServiceRecord
	var definition []byte
	var released *time.Time
	r := &record.Release
	if err := row.Scan(&r.Service, &r.Number, &r.Newest, &r.NewestRun, &r.Active, &r.Dirty, &definition, &r.Touched, &record.Deploying, &released, &r.Retiring, &record.Pending, &record.Lost, &r.Jobs, &r.StepImages); err != nil {
		return record, err
	}
	if released != nil {
		r.Released = *released
	}
	if definition == nil {
		return record, nil
	}
	var err error
	r.LostKey, err = unlessLost(openDefinition(tx, r.Service, definition, &r.Definition))
	return record, err
}

// loadMembers fills in the components of releases, with their routes.
func loadMembers(ctx context.Context, tx pgx.Tx, names []string, releases map[string]*fleet.Release) error {
	routes, err := loadRoutes(ctx, tx, names)
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		select c.service, c.name, c.container, c.node, c.deployment, d.run_id, c.image, c.digest, c.spec, c.active, c.address
		from components c join deployments d on (d.service, d.number) = (c.service, c.deployment)
		where cardinality($1::text[]) = 0 or c.service = any($1)`, nonNil(names))
	if err != nil {
		return err
	}
	var service string
	var m fleet.Member
	_, err = pgx.ForEachRow(rows, []any{&service, &m.Component, &m.Container, &m.Node, &m.Deployment, &m.Run, &m.Image, &m.Digest, &m.Spec, &m.Active, &m.Address}, func() error {
		release := releases[service]
		if release.Components == nil {
			release.Components = map[string]fleet.Member{}
		}
		m.Routes = routes[memberKey{service, m.Component}]
		release.Components[m.Component] = m
		return nil
	})
	return err
}

// memberKey names a component in the fleet.
type memberKey struct{ service, component string }

// loadRoutes reads the routes of releases, in the order of their names.
func loadRoutes(ctx context.Context, tx pgx.Tx, names []string) (map[memberKey][]fleet.Route, error) {
	rows, err := tx.Query(ctx, `
		select service, component, route, port, mode, hostname, case protocol when 'tcp' then '' else protocol end, host_port
		from component_routes
		where committed and route <> '' and (cardinality($1::text[]) = 0 or service = any($1))
		order by route`, nonNil(names))
	if err != nil {
		return nil, err
	}
	routes := map[memberKey][]fleet.Route{}
	var key memberKey
	var r fleet.Route
	_, err = pgx.ForEachRow(rows, []any{&key.service, &key.component, &r.Name, &r.Port, &r.Mode, &r.Hostname, &r.Protocol, &r.HostPort}, func() error {
		routes[key] = append(routes[key], r)
		return nil
	})
	return routes, err
}
