package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
)

// recorded is what the registry has of a service before a publication.
type recorded struct {
	known  bool
	source fleet.PublicationSource
	// last is the publication before, of version 0 if there is none.
	last          fleet.Publication
	held, stopped []string
	run           string
	committed     bool
	base          []string
	// open is set while the deployment of run is under way.
	open bool
	// lost is set if the definition of the release is lost: see ForgetKey.
	lost bool
}

// loadRecorded reads what a publication of a service is made from.
func loadRecorded(ctx context.Context, tx pgx.Tx, service string) (recorded, error) {
	r := recorded{last: fleet.Publication{Service: service}}
	var definition, routes []byte
	err := tx.QueryRow(ctx, `
		select s.name is not null or p.service is not null, coalesce(s.maintenance, false), d.definition,
		       coalesce(p.version, 0), p.routes, p.held, p.stopped, coalesce(p.run, ''), coalesce(p.committed, false), p.base,
		       exists (select from deployments o where o.run_id = p.run and o.outcome is null)
		from (values ($1::text)) as wanted (service)
		left join services s on s.name = wanted.service
		left join deployments d on (d.service, d.number) = (s.name, s.release)
		left join publications p on p.service = wanted.service`, service).
		Scan(&r.known, &r.source.Maintenance, &definition, &r.last.Version, &routes, &r.held, &r.stopped, &r.run, &r.committed, &r.base, &r.open)
	if err != nil {
		return r, err
	}
	if definition != nil {
		key, err := unlessLost(openDefinition(tx, service, definition, &r.source.Definition))
		if err != nil {
			return r, err
		}
		r.lost = key != ""
	}
	if routes != nil {
		if err := json.Unmarshal(routes, &r.last.Routes); err != nil {
			return r, fmt.Errorf("decode the routes of %s: %w", service, err)
		}
	}
	release := fleet.Release{Service: service}
	if err := loadMembers(ctx, tx, []string{service}, map[string]*fleet.Release{service: &release}); err != nil {
		return r, err
	}
	r.source.Members = release.Members()
	return r, loadAddresses(ctx, tx, &r.source)
}

// loadAddresses reads where the nodes of components publish their ports.
func loadAddresses(ctx context.Context, tx pgx.Tx, source *fleet.PublicationSource) error {
	source.Addresses, source.Machines = map[string]string{}, map[string]string{}
	var nodes []string
	for _, m := range source.Members {
		nodes = append(nodes, m.Node)
	}
	if len(nodes) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `select name, address, machine from nodes where name = any($1) and address <> ''`, nodes)
	if err != nil {
		return err
	}
	var node, address, machine string
	_, err = pgx.ForEachRow(rows, []any{&node, &address, &machine}, func() error {
		source.Addresses[node], source.Machines[node] = address, machine
		return nil
	})
	return err
}

// publicationSource is what the routes are made of: nothing is sent to what is stopped.
func (r recorded) publicationSource() fleet.PublicationSource {
	source := r.source
	source.Held = r.held
	source.Members = slices.Clone(source.Members)
	for i := range source.Members {
		m := &source.Members[i]
		m.Active = m.Active && !slices.Contains(r.stopped, m.Component)
	}
	return source
}
