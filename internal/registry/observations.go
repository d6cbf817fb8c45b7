package registry

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// RecordObservation records an observation of a node, and what decide concludes from
// it and from the records of the node. One that is no newer than the last is ignored.
// Decide is pure: it runs inside the transaction, and runs again if that is retried.
func (s *Store) RecordObservation(ctx context.Context, r fleet.RecordRequest, decide func(fleet.Evidence) fleet.Findings) (fleet.Findings, error) {
	var findings fleet.Findings
	err := s.write(ctx, func(tx pgx.Tx) error {
		o := r.Observation
		late, err := isLate(ctx, tx, &o)
		if err != nil || late {
			return err
		}
		evidence, err := loadEvidence(ctx, tx, o, r)
		if err != nil {
			return err
		}
		found := decide(evidence)
		if o.Problem == "" {
			if err := writeContainers(ctx, tx, o.Node, found.Containers); err != nil {
				return err
			}
		}
		if err := writeStatus(ctx, tx, o, found); err != nil {
			return err
		}
		if err := writeSample(ctx, tx, o); err != nil {
			return err
		}
		if !slices.Equal(found.Open, evidence.Open) {
			if err := writeDrift(ctx, tx, o.Node, found.Open); err != nil {
				return err
			}
		}
		if len(found.Events) > 0 {
			if err := writeEvents(ctx, tx, found.Events, r.Destinations); err != nil {
				return err
			}
		}
		findings = found
		return nil
	}, "record an observation of node %s", r.Observation.Node)
	if err != nil {
		return fleet.Findings{}, err
	}
	return findings, nil
}

// loadEvidence reads what a decision on an observation depends on.
func loadEvidence(ctx context.Context, tx pgx.Tx, o fleet.Observation, r fleet.RecordRequest) (e fleet.Evidence, err error) {
	e.Observation = o
	if o.Problem == "" {
		if e.Before, err = observedOn(ctx, tx, o.Node); err != nil {
			return e, err
		}
	}
	if e.Services, err = servicesOn(ctx, tx, o); err != nil {
		return e, err
	}
	if e.Deployments, err = recentDeployments(ctx, tx, r.Ended); err != nil {
		return e, err
	}
	if e.Open, err = openDrift(ctx, tx, o.Node); err != nil {
		return e, err
	}
	e.Healed, err = pastHealing(ctx, tx, o.At.Add(-r.Healed))
	return e, err
}

// isLate locks the node, reports whether an observation as new as this one has
// been recorded, and fills in since when there was no answer. A node whose worker
// has not announced itself, or that was removed, is NotFound.
func isLate(ctx context.Context, tx pgx.Tx, o *fleet.Observation) (late bool, err error) {
	err = tx.QueryRow(ctx, `
		select coalesce(s.observed_at >= $2, false), coalesce(s.unanswered, '0001-01-01 00:00:00Z')
		from nodes n left join node_status s on s.node = n.name
		where n.name = $1 and n.seen is not null for no key update of n`, o.Node, o.At).Scan(&late, &o.Unanswered)
	if errors.Is(err, pgx.ErrNoRows) {
		unknown := fault.New(fault.NotFound, "no node is called %s", o.Node)
		unknown.Node = o.Node
		return false, unknown
	}
	return late, err
}

// servicesOn returns the services that have a component on the node, or a container
// that was found there.
func servicesOn(ctx context.Context, tx pgx.Tx, o fleet.Observation) ([]fleet.ServiceRecord, error) {
	rows, err := tx.Query(ctx, `select distinct service from components where node = $1`, o.Node)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	for _, c := range o.Containers {
		if c.Service != "" {
			names = append(names, c.Service)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	return loadServices(ctx, tx, names)
}

// recentDeployments returns the newest of each service, if it is under way or ended
// within that time. One that was lost changes nothing any more.
func recentDeployments(ctx context.Context, tx pgx.Tx, ended time.Duration) ([]fleet.RecentDeployment, error) {
	rows, err := tx.Query(ctx, `
		select d.service, d.number, d.outcome is null
		from services s join deployments d on d.service = s.name and d.number = s.newest
		where d.outcome is null or d.outcome <> 'lost' and d.finished_at > now() - $1::interval`, ended)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[fleet.RecentDeployment])
}

// writeContainers replaces the containers of the last observation of a node.
func writeContainers(ctx context.Context, tx pgx.Tx, node string, containers []fleet.Container) error {
	if _, err := tx.Exec(ctx, `delete from observed_containers where node = $1`, node); err != nil {
		return err
	}
	columns := []string{
		"node", "name", "container_id", "image", "digest", "service", "component", "deployment", "run", "spec",
		"state", "health", "exit_code", "restarts", "started_at", "restarted",
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"observed_containers"}, columns, pgx.CopyFromSlice(len(containers), func(i int) ([]any, error) {
		c := containers[i]
		return []any{
			node, c.Name, c.ID, c.Image, c.Digest, c.Service, c.Component, c.Deployment, c.Run, c.Spec,
			c.State, c.Health, c.ExitCode, c.Restarts, nullTime(c.Started), append([]time.Time{}, c.Restarted...),
		}, nil
	}))
	return err
}

// observedOn returns the containers of the last observation of a node, by their ids,
// with only what concerns their restarts.
func observedOn(ctx context.Context, tx pgx.Tx, node string) (map[string]fleet.Container, error) {
	rows, err := tx.Query(ctx, `
		select container_id, restarts, coalesce(started_at, '0001-01-01 00:00:00Z'), restarted
		from observed_containers where node = $1`, node)
	if err != nil {
		return nil, err
	}
	found := map[string]fleet.Container{}
	var c fleet.Container
	_, err = pgx.ForEachRow(rows, []any{&c.ID, &c.Restarts, &c.Started, &c.Restarted}, func() error {
		found[c.ID] = fleet.Container{ID: c.ID, Restarts: c.Restarts, Started: c.Started, Restarted: slices.Clone(c.Restarted)}
		return nil
	})
	return found, err
}

// writeStatus records the state and status of the node. One that did not answer
// keeps the status of its last answer, and its state if none was found.
func writeStatus(ctx context.Context, tx pgx.Tx, o fleet.Observation, found fleet.Findings) error {
	var state, seen, unanswered any
	if found.State != "" {
		state = found.State
	}
	switch {
	case o.Problem == "":
		seen = o.At
	case o.Unanswered.IsZero():
		unanswered = o.At
	default:
		unanswered = o.Unanswered
	}
	_, err := tx.Exec(ctx, `
		insert into node_status as recorded (node, state, since, observed_at, seen, status, unanswered)
		values ($1, coalesce($2, $3), $4, $5, $6, $7, $8)
		on conflict (node) do update
		set state = coalesce($2, recorded.state), observed_at = excluded.observed_at,
		    since = case when recorded.state = coalesce($2, recorded.state) then recorded.since else excluded.since end,
		    seen = coalesce(excluded.seen, recorded.seen), status = coalesce(excluded.status, recorded.status),
		    unanswered = excluded.unanswered`,
		o.Node, state, fleet.NodeUnreachable, found.Since, o.At, seen, o.Status, unanswered)
	return err
}

// WatchedNodes reads the nodes whose worker has announced itself, by name.
func (s *Store) WatchedNodes(ctx context.Context) ([]fleet.WatchedNode, error) {
	var watched []fleet.WatchedNode
	err := s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select n.name, s.unanswered is not null as silent
			from nodes n left join node_status s on s.node = n.name
			where n.seen is not null order by n.name`)
		if err != nil {
			return err
		}
		watched, err = pgx.CollectRows(rows, pgx.RowToStructByName[fleet.WatchedNode])
		return err
	}, "list the nodes to observe")
	return watched, err
}

// NodeStates reads the nodes whose worker has announced itself, by name, each
// with its last observation.
func (s *Store) NodeStates(ctx context.Context) ([]fleet.NodeState, error) {
	states := []fleet.NodeState{}
	err := s.read(ctx, func(tx pgx.Tx) error {
		drift, err := loadDrift(ctx, tx, "")
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select n.name, n.address, n.runtime, n.version, n.seen, n.boot, n.key, nullif(n.signers, '{}'),
			       n.draining, coalesce(s.state, ''), coalesce(s.since, '0001-01-01 00:00:00Z'),
			       coalesce(s.observed_at, '0001-01-01 00:00:00Z'), coalesce(s.seen, '0001-01-01 00:00:00Z'), s.status
			from nodes n left join node_status s on s.node = n.name
			where n.seen is not null order by n.name`)
		if err != nil {
			return err
		}
		states, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (fleet.NodeState, error) {
			n := fleet.NodeState{Drift: []fleet.OpenDrift{}}
			err := row.Scan(&n.Name, &n.Address, &n.Runtime, &n.Version, &n.Seen, &n.Boot, &n.Key, &n.Signers, &n.Draining, &n.State, &n.Since, &n.Observed, &n.Answered, &n.Status)
			n.Drift = append(n.Drift, drift[n.Name]...)
			return n, err
		})
		return err
	}, "read the state of the nodes")
	return states, err
}
