package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metacircular/mcp/workers"
)

// paces lists the sizes of the observed fleets. The small ones are observed more
// often than the monitor does by default: otherwise the rest of the platform would
// hide the cost.
var paces = []pace{{10, observeInterval / 10}, {100, observeInterval / 3}, {1000, observeInterval}}

type pace struct {
	nodes    int
	interval time.Duration
}

// monitorSwarm observes growing numbers of simulated nodes, and returns what an
// observation costs, and how many were late.
func monitorSwarm(ctx context.Context, b *bench) (results []result, err error) {
	if b.options.short {
		return nil, nil // even a reduced form takes minutes
	}
	w := b.site.newSwarm()
	defer func() {
		err = errors.Join(err, w.stop(ctx), workers.ScheduleMonitor(ctx, b.site.temporal, observeInterval))
	}()
	idle, err := w.idle(ctx)
	if err != nil {
		return nil, err
	}
	least := 0.0
	for _, p := range paces {
		if err := w.grow(ctx, p.nodes); err != nil {
			return nil, err
		}
		if err := workers.ScheduleMonitor(ctx, b.site.temporal, p.interval); err != nil {
			return nil, err
		}
		time.Sleep(2 * p.interval) // the first observations of new nodes are irregular
		got, err := w.watch(ctx, p.interval, min(b.options.watch, max(2*observeInterval, time.Duration(p.nodes)*time.Second)))
		if err != nil {
			return nil, err
		}
		got.perObservation(idle, p.nodes+len(b.site.nodes), p.nodes)
		each := got.temporal + got.control + got.postgres
		b.points("nodes", float64(p.nodes), each)
		if least == 0 {
			least = each
		}
		results = append(results, got.results(p, least)...)
	}
	return results, nil
}

// idle returns what the platform uses while its nodes are not observed.
func (w *swarm) idle(ctx context.Context) (watched, error) {
	resume, err := w.site.pauseMonitor(ctx)
	if err != nil {
		return watched{}, err
	}
	time.Sleep(observeInterval) // lets earlier work end
	idle, err := w.watch(ctx, observeInterval, 2*observeInterval)
	return idle, errors.Join(err, resume())
}

// results returns the figures of one size; least is the cost of an observation at
// the smallest size.
func (got watched) results(p pace, least float64) []result {
	about := result{Samples: got.observations, Command: fmt.Sprintf("%d simulated nodes, an observation every %s, for %s", p.nodes, p.interval, got.long)}
	figure := func(name, work, unit string, value, target float64) result {
		r := about
		r.Name, r.Work, r.Unit = fmt.Sprintf("monitor-%d-%s", p.nodes, name), work, unit
		r.Value, r.Spread, r.Target = value, [2]float64{value, value}, target
		r.Holds = target == 0 || value <= target
		return r
	}
	each := got.temporal + got.control + got.postgres
	cost := figure("observation", fmt.Sprintf("processor time of an observation: Temporal %.0f, control worker %.0f, Postgres %.0f ms", got.temporal, got.control, got.postgres), "ms", each, 0)
	if least != each {
		cost.Reference, cost.ReferenceSpread, cost.Ratio, cost.Target = least, [2]float64{least, least}, each/least, 1.2
		cost.Holds = cost.Ratio <= cost.Target
	}
	missed := figure("missed", fmt.Sprintf("missed observations, of %d", got.observations+got.missed), "observations", float64(got.missed), 0)
	missed.Holds = got.missed == 0
	latest := figure("late", fmt.Sprintf("longest delay of an observation, due every %s; %d were more than %s late", p.interval, got.late, tolerance), "s", got.latest.Seconds(), tolerance.Seconds())
	return []result{
		cost, missed, latest,
		figure("temporal", "memory of Temporal's dev server", "MB", got.temporalMB, 0),
		figure("control", "memory of the platform's process, with the control worker", "MB", got.controlMB, 0),
	}
}
