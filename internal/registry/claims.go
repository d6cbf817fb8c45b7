package registry

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// takeClaims claims endpoints for a service. One that collides with one of another
// service is a Conflict. "*.shop.example" and "a.shop.example" do not collide: the edges
// prefer the second for its hostname.
func takeClaims(ctx context.Context, tx pgx.Tx, service, run string, endpoints []fleet.Endpoint) error {
	if len(endpoints) == 0 {
		return nil
	}
	// No index finds endpoints of two protocols that collide, so one transaction at a time
	// claims any.
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('mcp edge_claims', 0))`); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
		insert into edge_claims as held (port, protocol, hostname, path, service, run)
		select distinct port, protocol, hostname, path, $5, $6
		from unnest($1::int[], $2::text[], $3::text[], $4::text[]) as wanted (port, protocol, hostname, path)
		where not exists (select from edge_claims held where held.service <> $5 and `+colliding+`)
		on conflict (port, protocol, hostname, path) do update set run = excluded.run
		where held.service = excluded.service`, endpointColumns(endpoints, service, run)...)
	if err != nil || int(tag.RowsAffected()) >= distinct(endpoints) {
		return err
	}
	holders, err := holdersOf(ctx, tx, endpoints)
	if err != nil {
		return err
	}
	for _, h := range holders {
		if h.Service != service {
			return fault.New(fault.Conflict, "%s, which %s asks for, is held by service %s", h.Endpoint, service, h.Service).
				WithHint("see its holder: mcp status %s; give the route another hostname, port or path, or undeploy %s", h.Service, h.Service)
		}
	}
	// Its holder has given it up in between.
	return fault.New(fault.Unavailable, "an endpoint of %s was held by another service until now", service)
}

// colliding is the condition that a row of edge_claims, held, collides with an endpoint,
// wanted, as fleet.Endpoint.Collides defines it.
const colliding = `((wanted.port, wanted.hostname) = (held.port, held.hostname)
	and case wanted.protocol when held.protocol then wanted.path = held.path
	    else 'udp' not in (wanted.protocol, held.protocol) end)`

// distinct counts endpoints, each once.
func distinct(endpoints []fleet.Endpoint) int {
	sorted := slices.Clone(endpoints)
	slices.SortFunc(sorted, fleet.Endpoint.Compare)
	return len(slices.Compact(sorted))
}

// endpointColumns returns the endpoints as columns, and what follows them.
func endpointColumns(endpoints []fleet.Endpoint, more ...any) []any {
	ports, protocols, hostnames, paths := []int{}, []string{}, []string{}, []string{}
	for _, e := range endpoints {
		ports, protocols = append(ports, e.Port), append(protocols, e.Protocol)
		hostnames, paths = append(hostnames, e.Hostname), append(paths, e.Path)
	}
	return append([]any{ports, protocols, hostnames, paths}, more...)
}

// commitClaims makes the claims of a run those of the service's release, and frees the
// others. A request with another definition than the one that the run began with has the
// claims of that definition.
func commitClaims(ctx context.Context, tx pgx.Tx, r fleet.CommitRequest, run string) error {
	if r.Definition != nil {
		if _, err := tx.Exec(ctx, `update edge_claims set run = '' where service = $1`, r.Service); err != nil {
			return err
		}
		if err := takeClaims(ctx, tx, r.Service, run, r.Claims); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `
		with freed as (delete from edge_claims where service = $1 and run <> $2)
		update edge_claims set committed = true where service = $1 and run = $2 and not committed`, r.Service, run)
	return err
}

// freedClaims is a statement that frees what the service $1 has claimed and its release
// does not have.
const freedClaims = `delete from edge_claims where service = $1 and not committed`

// EndpointHolders returns the holders of the endpoints that collide with some of these,
// in the order of the endpoints.
func (s *Store) EndpointHolders(ctx context.Context, endpoints []fleet.Endpoint) ([]fleet.EndpointHolder, error) {
	var holders []fleet.EndpointHolder
	err := s.read(ctx, func(tx pgx.Tx) (err error) {
		holders, err = holdersOf(ctx, tx, endpoints)
		return err
	}, "read the holders of endpoints")
	return holders, err
}

func holdersOf(ctx context.Context, tx pgx.Tx, endpoints []fleet.Endpoint) ([]fleet.EndpointHolder, error) {
	rows, err := tx.Query(ctx, `
		select port, protocol, hostname, path, service from edge_claims held
		where exists (
		    select from unnest($1::int[], $2::text[], $3::text[], $4::text[]) as wanted (port, protocol, hostname, path)
		    where `+colliding+`)
		order by hostname, port, protocol, path`, endpointColumns(endpoints)...)
	if err != nil {
		return nil, err
	}
	var holders []fleet.EndpointHolder
	var h fleet.EndpointHolder
	_, err = pgx.ForEachRow(rows, []any{&h.Endpoint.Port, &h.Endpoint.Protocol, &h.Endpoint.Hostname, &h.Endpoint.Path, &h.Service}, func() error {
		holders = append(holders, h)
		return nil
	})
	return holders, err
}
