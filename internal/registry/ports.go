package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// defaultRest is how long a port rests if the caller gives no time.
const defaultRest = time.Minute

// AllocatePorts reserves a component's static ports, and a host port for each
// of its routes; a repeated call for the same deployment returns the same ones.
// A static port that is held by a component which does not give it up, or to which an
// edge may still send requests, and too few candidates, are a PortInUse; one that is
// about to be let go is Unavailable. A closed deployment gets none, unless it is the
// release and repeats its request.
func (s *Store) AllocatePorts(ctx context.Context, r fleet.PortRequest) ([]fleet.Route, error) {
	var routes []fleet.Route
	err := s.write(ctx, func(tx pgx.Tx) (err error) {
		closed, committed, err := deploymentState(ctx, tx, r.Service, r.Deployment, r.Run)
		switch {
		case err != nil:
			return err
		case committed: // a late repetition, which gets the ports that are held
			r.Candidates = nil
			routes, err = holdRoutes(ctx, tx, r)
			return err
		case closed:
			return superseded(r.Service, r.Deployment)
		}
		if err := lockNode(ctx, tx, r.Node); err != nil {
			return err
		}
		if err := restTaken(ctx, tx, r); err != nil {
			return err
		}
		for _, static := range r.Static {
			if err := holdStatic(ctx, tx, r, static); err != nil {
				return err
			}
		}
		routes, err = holdRoutes(ctx, tx, r)
		return err
	}, "allocate ports of %s/%s on node %s", r.Service, r.Component, r.Node)
	return routes, err
}

// ReleasePorts sets every port of the service to rest that its release does
// not use: those of a deployment that was undone or, once the release is
// committed, those of the containers that it replaced.
func (s *Store) ReleasePorts(ctx context.Context, service string, rest time.Duration) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		return restUncommitted(ctx, tx, service, rest)
	}, "release ports of %s", service)
}

func restUncommitted(ctx context.Context, tx pgx.Tx, service string, rest time.Duration) error {
	_, err := tx.Exec(ctx, `
		update component_routes set rests_until = now() + $2
		where service = $1 and not committed and rests_until is null`, service, rest)
	return err
}

// lockNode lets one transaction at a time allocate ports of a node, and frees
// those whose rest is over.
func lockNode(ctx context.Context, tx pgx.Tx, node string) error {
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('mcp ports of ' || $1, 0))`, node); err != nil {
		return err
	}
	// clock_timestamp, because now() is when the transaction began to wait.
	_, err := tx.Exec(ctx, `delete from component_routes where node = $1 and rests_until <= clock_timestamp()`, node)
	return err
}

// restTaken sets to rest those of the ports that the engine could not bind which
// this deployment holds.
func restTaken(ctx context.Context, tx pgx.Tx, r fleet.PortRequest) error {
	if len(r.Taken) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		update component_routes set rests_until = clock_timestamp() + $6
		where node = $1 and host_port = any($2)
		  and service = $3 and component = $4 and deployment = $5
		  and route <> '' and not committed and rests_until is null`,
		r.Node, r.Taken, r.Service, r.Component, r.Deployment, defaultRest)
	return err
}

// holdStatic takes a port that the definition names. It may take one that
// rests, because no other can be used instead, and one that was asked for by a
// deployment of the service that did not end. A port of a component that gives it up
// stays where it is: CommitRelease moves it.
func holdStatic(ctx context.Context, tx pgx.Tx, r fleet.PortRequest, p servicedef.Port) error {
	var holder string
	err := tx.QueryRow(ctx, `
		insert into component_routes as held (node, protocol, host_port, service, component, deployment, port)
		select $1, $2, $3::int, $4, $5, $6::bigint, $3
		where not exists (
		    select from published_ports shown where `+portAt+` and shown.port = $3 and `+awaitedPort+`)
		on conflict (node, protocol, host_port) do update
		set service = excluded.service, component = excluded.component, route = '',
		    deployment = excluded.deployment, rests_until = null, port = excluded.port, mode = '', hostname = ''
		where held.rests_until is not null
		   or (held.service, held.component, held.route) = (excluded.service, excluded.component, '')
		   or held.service = excluded.service and not held.committed and held.deployment < excluded.deployment
		returning service`,
		r.Node, p.Protocol, p.Host, r.Service, r.Component, r.Deployment).Scan(&holder)
	if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	return refusedPort(ctx, tx, r, p)
}

// refusedPort returns the fault of a port that has a holder; nil if that gives it
// up. A port that the last release of another service did without is waited for: its
// old container still has it.
func refusedPort(ctx context.Context, tx pgx.Tx, r fleet.PortRequest, p servicedef.Port) error {
	var holder fleet.PortHolder
	var retiring, resting bool
	err := tx.QueryRow(ctx, `
		select service, component, route, committed, rests_until is not null, `+retiringPort+`
		from component_routes held where node = $1 and protocol = $2 and host_port = $3`,
		r.Node, p.Protocol, p.Host).Scan(&holder.Service, &holder.Component, &holder.Route, &holder.Committed, &resting, &retiring)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && resting {
		return awaitedAt(ctx, tx, r, p)
	}
	if err != nil {
		return err
	}
	own := holder.Service == r.Service
	if own && holder.Committed && (holder.Component == r.Component || slices.Contains(r.Giving, holder.Component)) {
		return nil
	}
	f := fault.New(fault.PortInUse, "%s port %d of node %s, which %s/%s asks for, is held by %s",
		p.Protocol, p.Host, r.Node, r.Service, r.Component, holder).
		WithHint("name another port, or undeploy its holder")
	if retiring && !own {
		f = fault.New(fault.Unavailable, "%s port %d of node %s, which %s/%s asks for, is held by %s until its old container has stopped",
			p.Protocol, p.Host, r.Node, r.Service, r.Component, holder)
	}
	f.Component, f.Node, f.Port = r.Component, r.Node, p.Host
	return f
}

// awaitedAt returns the fault of a port to which edges may still send the requests of a
// service that does not have it any more.
func awaitedAt(ctx context.Context, tx pgx.Tx, r fleet.PortRequest, p servicedef.Port) error {
	var service string
	var edges []string
	err := tx.QueryRow(ctx, `
		select shown.service, array(
		    select edge from edge_publications e where e.service = shown.service and e.acked <= shown.version order by edge)
		from published_ports shown where `+portAt+` and shown.port = $2 and `+awaitedPort+`
		order by 1 limit 1`, r.Node, p.Host).Scan(&service, &edges)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.New(fault.Unavailable, "%s port %d of node %s was taken until now", p.Protocol, p.Host, r.Node)
	}
	if err != nil {
		return err
	}
	f := fault.New(fault.PortInUse, "tcp port %d of node %s, which %s/%s asks for, was a port of %s, to which edge %s may still send requests",
		p.Host, r.Node, r.Service, r.Component, service, strings.Join(edges, ", ")).
		WithHint("start the edge, or forget it: mcp edge remove %s; or name another port", edges[0])
	f.Component, f.Node, f.Port = r.Component, r.Node, p.Host
	return f
}

// retiringPort is the condition that a row is of a container which the release of
// its service has replaced or removed, and which that deployment is about to stop.
const retiringPort = `(not held.committed and exists (
	select from services s join deployments d on (d.service, d.number) = (s.name, s.release)
	where s.name = held.service and held.deployment < s.release and d.outcome is null))`

// PortHolders returns the holders of those of the ports that are held, and not
// about to be let go.
func (s *Store) PortHolders(ctx context.Context, ports []fleet.HostPort) ([]fleet.PortHolder, error) {
	nodes, protocols, numbers := []string{}, []string{}, []int{}
	for _, p := range ports {
		nodes, protocols, numbers = append(nodes, p.Node), append(protocols, p.Protocol), append(numbers, p.Port)
	}
	var holders []fleet.PortHolder
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select node, protocol, host_port, service, component, route, committed
			from component_routes held
			where (node, protocol, host_port) in (select * from unnest($1::text[], $2::text[], $3::int[]))
			  and rests_until is null and not `+retiringPort+`
			order by node, protocol, host_port`, nodes, protocols, numbers)
		if err != nil {
			return err
		}
		var h fleet.PortHolder
		_, err = pgx.ForEachRow(rows, []any{&h.Node, &h.Protocol, &h.Port, &h.Service, &h.Component, &h.Route, &h.Committed}, func() error {
			holders = append(holders, h)
			return nil
		})
		return err
	}, "read the holders of ports")
	return holders, err
}

// holdRoutes gives each route the port that this deployment holds for it, or
// the first candidates that are not held.
func holdRoutes(ctx context.Context, tx pgx.Tx, r fleet.PortRequest) ([]fleet.Route, error) {
	held, err := heldPorts(ctx, tx, r)
	if err != nil {
		return nil, err
	}
	routes := slices.Clone(r.Routes)
	var missing []*fleet.Route
	for i := range routes {
		routes[i].HostPort = held[routes[i].Name]
		if routes[i].HostPort == 0 {
			missing = append(missing, &routes[i])
		}
	}
	if len(missing) == 0 {
		return routes, nil
	}
	free, err := freePorts(ctx, tx, r, len(missing))
	if err != nil {
		return nil, err
	}
	if len(free) < len(missing) {
		return nil, tooFewPorts(ctx, tx, r, len(missing), len(free))
	}
	batch := &pgx.Batch{}
	for i, route := range missing {
		route.HostPort = free[i]
		batch.Queue(`
			insert into component_routes (node, protocol, host_port, service, component, route, deployment, port, mode, hostname)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			r.Node, route.Transport(), route.HostPort, r.Service, r.Component, route.Name, r.Deployment, route.Port, route.Mode, route.Hostname)
	}
	return routes, tx.SendBatch(ctx, batch).Close()
}

// tooFewPorts returns the fault of a node that has too few free ports. Some may be kept
// because an edge that is cut off has not yet acknowledged that they are gone.
func tooFewPorts(ctx context.Context, tx pgx.Tx, r fleet.PortRequest, needed, free int) error {
	var awaited int
	var edges []string
	err := tx.QueryRow(ctx, `
		select count(distinct shown.port), coalesce(array_agg(distinct e.edge), '{}')
		from published_ports shown join edge_publications e on e.service = shown.service and e.acked <= shown.version
		where `+portAt+` and shown.port = any($2::int[]) and not exists (
		    select from component_routes
		    where node = $1 and protocol = 'tcp' and host_port = shown.port and rests_until is null)`,
		r.Node, r.Candidates).Scan(&awaited, &edges)
	if err != nil {
		return err
	}
	f := fault.New(fault.PortInUse, "node %s has too few free ports for %s/%s: it needs %d, and of %d candidates %d are free",
		r.Node, r.Service, r.Component, needed, len(r.Candidates), free).
		WithHint("widen the range of ports for routes: [ports] in mcp.toml of that node")
	if awaited > 0 {
		f.Message += fmt.Sprintf("; %d rest until edge %s has acknowledged that they are gone", awaited, strings.Join(edges, ", "))
		f = f.WithHint("start the edge, or forget it: mcp edge remove %s", edges[0])
	}
	f.Component, f.Node = r.Component, r.Node
	return f
}

// heldPorts returns the ports that this deployment holds already, by route.
func heldPorts(ctx context.Context, tx pgx.Tx, r fleet.PortRequest) (map[string]int, error) {
	rows, err := tx.Query(ctx, `
		select route, host_port from component_routes
		where service = $1 and component = $2 and deployment = $3 and node = $4
		  and route <> '' and rests_until is null`, r.Service, r.Component, r.Deployment, r.Node)
	if err != nil {
		return nil, err
	}
	held := map[string]int{}
	var route string
	var port int
	_, err = pgx.ForEachRow(rows, []any{&route, &port}, func() error {
		held[route] = port
		return nil
	})
	return held, err
}

// freePorts returns the first n candidates that are not held and do not rest, and to
// which no edge may still send requests.
func freePorts(ctx context.Context, tx pgx.Tx, r fleet.PortRequest, n int) ([]int, error) {
	rows, err := tx.Query(ctx, `
		select candidate.port from unnest($2::int[]) with ordinality as candidate (port, preference)
		where candidate.port <> all($3::int[])
		  and not exists (select from published_ports shown where `+portAt+` and shown.port = candidate.port and `+awaitedPort+`)
		  and not exists (
		      select from component_routes
		      where node = $1 and host_port = candidate.port)
		group by candidate.port order by min(preference) limit $4`,
		r.Node, r.Candidates, append([]int{}, r.Taken...), n)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// PortsInUse returns how many ports of each node are held; those that rest do not
// count.
func (s *Store) PortsInUse(ctx context.Context) (map[string]int, error) {
	held := map[string]int{}
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select node, count(*) from component_routes where rests_until is null group by node`)
		if err != nil {
			return err
		}
		var node string
		var n int
		_, err = pgx.ForEachRow(rows, []any{&node, &n}, func() error {
			held[node] = n
			return nil
		})
		return err
	}, "count the ports in use")
	return held, err
}
