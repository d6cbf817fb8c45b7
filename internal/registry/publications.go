package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// Publish records what edges serve for a service from now on: the routes that publish
// makes of what the registry has. Each call makes a newer version. A request of a
// deployment that is closed is a Conflict, one of a service that the registry does not
// have is NotFound. Publish is pure: it runs inside the transaction, and runs again if
// that is retried.
func (s *Store) Publish(ctx context.Context, r fleet.PublishRequest, publish func(fleet.PublicationSource) []fleet.EdgeRoute) (fleet.Publishing, error) {
	var made fleet.Publishing
	err := s.write(ctx, func(tx pgx.Tx) error {
		if err := lockService(ctx, tx, r.Service); err != nil {
			return err
		}
		by := publisher{service: r.Service, keep: r.Keep, held: r.Held, stopped: r.Stopped}
		if r.Deployment == 0 {
			by.keep = true
		} else if err := by.forDeployment(ctx, tx, r); err != nil {
			return err
		}
		var err error
		made, err = by.publish(ctx, tx, publish)
		return err
	}, "publish the routes of %s", r.Service)
	return made, err
}

// SetMaintenance begins or ends the maintenance of a service, and publishes that.
func (s *Store) SetMaintenance(ctx context.Context, r fleet.MaintenanceRequest, publish func(fleet.PublicationSource) []fleet.EdgeRoute) (fleet.Publishing, error) {
	var made fleet.Publishing
	err := s.write(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update services set maintenance = $2 where name = $1`, r.Service, r.On)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.NotFound, "no service is called %s", r.Service)
		}
		made, err = publisher{service: r.Service, keep: true}.publish(ctx, tx, publish)
		return err
	}, "record the maintenance of %s", r.Service)
	return made, err
}

// publisher makes one publication of a service, which the transaction has locked.
type publisher struct {
	service string
	// run is that of the deployment that publishes; "" for none. Commits is set if its
	// release was just committed.
	run     string
	commits bool
	// keep leaves held and stopped as they are, unless the deployment that has set them is
	// closed.
	keep          bool
	held, stopped []string
}

// forDeployment makes the publication one of a deployment. One that is closed, and one
// that has committed its release and holds back part of it, is a Conflict.
func (p *publisher) forDeployment(ctx context.Context, tx pgx.Tx, r fleet.PublishRequest) error {
	closed, committed, err := deploymentState(ctx, tx, r.Service, r.Deployment, r.Run)
	if err != nil {
		return err
	}
	if closed || committed && len(r.Held)+len(r.Stopped) > 0 {
		return superseded(r.Service, r.Deployment)
	}
	p.run, err = runOf(ctx, tx, r.Service, r.Deployment, r.Run)
	return err
}

// publish makes the publication. A release that is published already is not published
// again: its publication is returned. A service that edges have never served gets none.
func (p publisher) publish(ctx context.Context, tx pgx.Tx, make func(fleet.PublicationSource) []fleet.EdgeRoute) (fleet.Publishing, error) {
	before, err := loadRecorded(ctx, tx, p.service)
	if err != nil {
		return fleet.Publishing{}, err
	}
	switch {
	case !before.known:
		return fleet.Publishing{}, fault.New(fault.NotFound, "the registry has no service %s, and no publication of it", p.service)
	case p.commits && before.committed && before.run == p.run:
		return republished(ctx, tx, before)
	case before.lost && before.last.Version > 0: // edges go on with what they have
		return republished(ctx, tx, before)
	case before.lost:
		return fleet.Publishing{Publication: fleet.Publication{Service: p.service}}, nil
	}
	base := before.last.Upstreams()
	if before.run == p.run && p.run != "" {
		base = before.base
	}
	after := before
	after.last.Routes = nil
	switch {
	case p.keep && !before.open:
		after.held, after.stopped = nil, nil
	case !p.keep:
		after.held, after.stopped = p.held, p.stopped
	}
	if p.run != "" {
		after.run, after.committed, after.base = p.run, p.commits, base
	}
	after.last.Routes = make(after.publicationSource())
	if before.last.Version == 0 && len(after.last.Routes) == 0 {
		return fleet.Publishing{Publication: fleet.Publication{Service: p.service}}, nil
	}
	result := fleet.Publishing{Publication: after.last, Former: without(base, after.last.Upstreams())}
	result.Publication.Version, result.Edges, err = writePublication(ctx, tx, after)
	return result, err
}

// republished is the publication of a release that was published before.
func republished(ctx context.Context, tx pgx.Tx, r recorded) (fleet.Publishing, error) {
	made := fleet.Publishing{Publication: r.last, Former: without(r.base, r.last.Upstreams())}
	rows, err := tx.Query(ctx, `
		insert into edge_publications (edge, service, sent)
		select name, $1, $2 from edges where admitted_at is not null order by name
		on conflict (edge, service) do update set sent = excluded.sent
		returning edge`, r.last.Service, r.last.Version)
	if err != nil {
		return made, err
	}
	made.Edges, err = pgx.CollectRows(rows, pgx.RowTo[string])
	slices.Sort(made.Edges)
	return made, err
}

// without returns the upstreams that are not among others.
func without(upstreams, others []string) []string {
	var left []string
	for _, u := range upstreams {
		if !slices.Contains(others, u) {
			left = append(left, u)
		}
	}
	return left
}

// writePublication records a publication, marks it as sent to every admitted edge, and
// returns its version and these edges. A version is a time, so that it is greater than
// those given by a registry that was restored or emptied since.
func writePublication(ctx context.Context, tx pgx.Tx, r recorded) (version int64, edges []string, err error) {
	nodes, addresses, ports := shownPorts(r)
	batch := &pgx.Batch{}
	batch.Queue(`
		with made as (
		    insert into publications as last (service, version, routes, held, stopped, run, committed, base, at)
		    values ($1, greatest(
		                (extract(epoch from clock_timestamp()) * 1000000)::bigint,
		                (select coalesce(max(acked), 0) + 1 from edge_publications where service = $1)),
		            $2, $3, $4, $5, $6, $7, clock_timestamp())
		    on conflict (service) do update
		    set version = greatest(last.version + 1, excluded.version), routes = excluded.routes,
		        held = excluded.held, stopped = excluded.stopped,
		        run = excluded.run, committed = excluded.committed, base = excluded.base, at = excluded.at
		    returning version
		), sent as (
		    insert into edge_publications (edge, service, sent)
		    select name, $1, made.version from edges, made where admitted_at is not null order by name
		    on conflict (edge, service) do update set sent = excluded.sent
		    returning edge
		), shown as (
		    insert into published_ports (service, node, address, port, version)
		    select distinct $1, port.node, port.address, port.port, made.version
		    from unnest($8::text[], $9::text[], $10::int[]) as port (node, address, port), made
		    on conflict (service, node, address, port) do update set version = excluded.version
		)
		select version, array(select edge from sent order by edge) from made`,
		r.last.Service, append([]fleet.EdgeRoute{}, r.last.Routes...), nonNil(r.held), nonNil(r.stopped),
		r.run, r.committed, nonNil(r.base), nodes, addresses, ports,
	).QueryRow(func(row pgx.Row) error { return row.Scan(&version, &edges) })
	batch.Queue(forgottenPorts+` and service = $1`, r.last.Service)
	return version, edges, tx.SendBatch(ctx, batch).Close()
}

// Publications reads what edges serve, of one service or of all that have routes, in the
// order of their names.
func (s *Store) Publications(ctx context.Context, service string) ([]fleet.Publication, error) {
	var publications []fleet.Publication
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select service, version, routes from publications
			where $1 in ('', service) and routes <> '[]' order by service`, service)
		if err != nil {
			return err
		}
		publications, err = pgx.CollectRows(rows, scanPublication)
		return err
	}, "read what edges serve")
	return publications, err
}

func scanPublication(row pgx.CollectableRow) (p fleet.Publication, err error) {
	var routes []byte
	if err := row.Scan(&p.Service, &p.Version, &routes); err != nil {
		return p, err
	}
	if err := json.Unmarshal(routes, &p.Routes); err != nil {
		return p, fmt.Errorf("decode the routes of %s: %w", p.Service, err)
	}
	return p, nil
}

// publishedRelease is the publication of a release that was committed before, for a
// repeated commit; nil if edges do not serve the service.
func publishedRelease(ctx context.Context, tx pgx.Tx, r fleet.CommitRequest) (*fleet.Publishing, error) {
	run, err := runOf(ctx, tx, r.Service, r.Deployment, r.Run)
	if err != nil {
		return nil, err
	}
	before, err := loadRecorded(ctx, tx, r.Service)
	if err != nil || !before.committed || before.run != run {
		return nil, err
	}
	made, err := republished(ctx, tx, before)
	return &made, err
}

// isInterim is the condition that a deployment of the service $1 has taken part of the
// release off the edges, and has not published it again.
const isInterim = `exists (select from publications where service = $1 and (held <> '{}' or stopped <> '{}'))`
