package registry

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fleet"
)

// writeSample adds an answered observation to the node's history.
func writeSample(ctx context.Context, tx pgx.Tx, o fleet.Observation) error {
	if o.Status == nil {
		return nil
	}
	s := o.Status
	load := 0.0
	if len(s.Load) > 0 {
		load = s.Load[0]
	}
	_, err := tx.Exec(ctx, `
		insert into node_samples (node, at, cpu, memory, disk, load, running) values ($1, $2, $3, $4, $5, $6, $7)`,
		o.Node, o.At, s.CPUPercent, s.Memory.Percent(), s.Disk.Percent(), load, s.Running)
	return err
}

// ThinSamples folds the samples of a node's oldest hour into one row, if that hour
// lies before the time, and reports whether it did.
func (s *Store) ThinSamples(ctx context.Context, node string, before time.Time) (bool, error) {
	thinned := false
	err := s.write(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			with oldest as (
			    select date_trunc('hour', min(at), 'UTC') as hour from node_samples where node = $1 and at < $2
			), taken as (
			    delete from node_samples s using oldest
			    where s.node = $1 and s.at >= oldest.hour and s.at < oldest.hour + interval '1 hour'
			    returning oldest.hour, s.*
			)
			insert into node_hours
			select node, hour, count(*),
			       min(cpu), avg(cpu), max(cpu), min(memory), avg(memory), max(memory),
			       min(disk), avg(disk), max(disk), min(load), avg(load), max(load),
			       min(running), avg(running), max(running)
			from taken group by node, hour
			on conflict do nothing`, node, before)
		thinned = err == nil && tag.RowsAffected() > 0
		return err
	}, "thin the history of node %s", node)
	return thinned, err
}

// DropHours deletes the hours of every node that lie before the time.
func (s *Store) DropHours(ctx context.Context, before time.Time) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `delete from node_hours where hour < $1`, before)
		return err
	}, "drop old history")
}

// History summarizes the samples of a node from a time on.
func (s *Store) History(ctx context.Context, node string, from time.Time) (fleet.NodeHistory, error) {
	h := fleet.NodeHistory{From: from}
	err := s.read(ctx, func(tx pgx.Tx) error {
		row := tx.QueryRow(ctx, `
			with spans as (
			    select 1 as looks, cpu as cpu_low, cpu, cpu as cpu_high, memory as memory_low, memory, memory as memory_high,
			           disk as disk_low, disk, disk as disk_high, load as load_low, load, load as load_high,
			           running as running_low, running, running as running_high
			    from node_samples where node = $1 and at >= $2
			    union all
			    select looks, cpu_low, cpu, cpu_high, memory_low, memory, memory_high, disk_low, disk, disk_high,
			           load_low, load, load_high, running_low, running, running_high
			    from node_hours where node = $1 and hour >= $2
			)
			select sum(looks), min(cpu_low), sum(cpu * looks) / sum(looks), max(cpu_high),
			       min(memory_low), sum(memory * looks) / sum(looks), max(memory_high),
			       min(disk_low), sum(disk * looks) / sum(looks), max(disk_high),
			       min(load_low), sum(load * looks) / sum(looks), max(load_high),
			       min(running_low), sum(running * looks) / sum(looks), max(running_high)
			from spans having count(*) > 0`, node, from)
		err := row.Scan(&h.Observations, &h.CPU.Low, &h.CPU.Mean, &h.CPU.High, &h.Memory.Low, &h.Memory.Mean, &h.Memory.High,
			&h.Disk.Low, &h.Disk.Mean, &h.Disk.High, &h.Load.Low, &h.Load.Mean, &h.Load.High,
			&h.Running.Low, &h.Running.Mean, &h.Running.High)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	}, "read the history of node %s", node)
	return h, err
}

// FoldEvents drops, of the events before the time, those of one drift that lie
// between the first and the last of an hour, n of them at most. The last records
// how many were dropped. It returns how many it has dropped.
func (s *Store) FoldEvents(ctx context.Context, before time.Time, n int) (int, error) {
	var dropped int
	err := s.write(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockEvents); err != nil { // or two at once would count the same events
			return err
		}
		return tx.QueryRow(ctx, `
			with hours as (
			    select id, row_number() over drift as nth, first_value(id) over drift as last,
			           lead(id) over drift as previous
			    from events where at < $1
			    window drift as (
			        partition by date_trunc('hour', at, 'UTC'), node, coalesce(nullif(kind, $3), $4),
			                     service, component, container, path, edge, hostname
			        order by id desc)
			), between as (
			    select id, last from hours where nth > 1 and previous is not null order by id limit $2
			), dropped as (
			    delete from events where id in (select id from between)
			), folded as (
			    update events set folded = folded + more.n
			    from (select last, count(*) as n from between group by last) more
			    where id = more.last
			)
			select count(*) from between`, before, n, fleet.DriftBack, fleet.DriftUnreachable).Scan(&dropped)
	}, "fold old events")
	return dropped, err
}

// DropEvents deletes events before the time, n of them at most, and returns how
// many.
func (s *Store) DropEvents(ctx context.Context, before time.Time, n int) (int, error) {
	var dropped int
	err := s.write(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			delete from events where id in (select id from events where at < $1 order by at limit $2)`, before, n)
		dropped = int(tag.RowsAffected())
		return err
	}, "drop old events")
	return dropped, err
}
