package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/bench/proc"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows"
)

// The interval of the monitor of a local platform, and how late a look may be.
const (
	lookInterval = 30 * time.Second
	lookLate     = 5 * time.Second
)

// swarm are nodes that only pretend: each has a task queue and a worker of its
// own, and an engine in memory.
type swarm struct {
	site    *site
	workers []worker.Worker
	names   []string
	mu      sync.Mutex
	looks   map[string][]time.Time // when each was looked at
}

// newSwarm is one without nodes.
func (s *site) newSwarm() *swarm {
	return &swarm{site: s, looks: map[string][]time.Time{}}
}

// startedAtOnce is how many nodes are started at once.
const startedAtOnce = 16

// grow starts nodes until there are so many.
func (w *swarm) grow(ctx context.Context, many int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(startedAtOnce)
	for i := len(w.names); i < many; i++ {
		name := fmt.Sprintf("swarm-%04d", i)
		w.names = append(w.names, name)
		g.Go(func() error { return w.start(ctx, name) })
	}
	return g.Wait()
}

// start starts one node.
func (w *swarm) start(ctx context.Context, name string) error {
	engine := runtime.NewFake()
	engine.AddImages("registry.example/app:v1")
	for c := range 5 {
		spec := runtime.ContainerSpec{Name: fmt.Sprint("app-", c), Image: "registry.example/app:v1"}
		if _, err := engine.Run(ctx, spec); err != nil {
			return err
		}
	}
	// One poller is enough for a look twice a minute; a real node has two.
	o := worker.Options{DisableWorkflowWorker: true, MaxConcurrentActivityTaskPollers: 1}
	node := worker.New(w.site.temporal, activities.QueueNode(name), o)
	node.RegisterActivity(&activities.Node{Name: name, Runtime: engine, Host: pretended{w, name}})
	if err := node.Start(); err != nil {
		return err
	}
	w.mu.Lock()
	w.workers = append(w.workers, node)
	w.mu.Unlock()
	return w.run(ctx, workflows.RegisterNodeName, fleet.NodeRecord{Name: name})
}

func (w *swarm) run(ctx context.Context, workflow string, arg any) error {
	run, err := w.site.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: workflows.Queue}, workflow, arg)
	if err != nil {
		return err
	}
	return run.Get(ctx, nil)
}

// stop ends the nodes, and has them forgotten.
func (w *swarm) stop(ctx context.Context) error {
	if ctx.Err() == nil { // else the platform goes, and the registry with it
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(startedAtOnce)
		for _, name := range w.names {
			g.Go(func() error { return w.run(ctx, workflows.RemoveNodeName, name) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return atOnce(len(w.workers), func(i int) error {
		w.workers[i].Stop()
		return nil
	})
}

// pretended is a host that knows when it was looked at.
type pretended struct {
	swarm *swarm
	name  string
}

func (p pretended) Status(context.Context, string, []string) (fleet.NodeStatus, error) {
	p.swarm.mu.Lock()
	defer p.swarm.mu.Unlock()
	p.swarm.looks[p.name] = append(p.swarm.looks[p.name], time.Now())
	return fleet.NodeStatus{NodeFigures: fleet.NodeFigures{CPUPercent: 10, Load: []float64{1, 1, 1}}}, nil
}

// watched is what came of looking at a swarm for a while.
type watched struct {
	looks, missed, late int
	latest              time.Duration // how much longer than the interval the longest wait for a look was
	// Milliseconds of processor time, of each second or for each look, and MB
	// held at the end.
	temporal, control, postgres float64
	temporalMB, controlMB       float64
	long                        time.Duration
}

// perLook makes what was used each second, beside what idling uses, what each
// look has used. Of all the nodes that were looked at, so many were counted.
func (got *watched) perLook(idle watched, all, counted int) {
	share := got.long.Seconds() / float64(max(1, got.looks)) * float64(counted) / float64(all)
	got.temporal = (got.temporal - idle.temporal) * share
	got.control = (got.control - idle.control) * share
	got.postgres = (got.postgres - idle.postgres) * share
}

// watch waits for so long, and counts what was done meanwhile, where each node is
// to be looked at once in an interval.
func (w *swarm) watch(ctx context.Context, interval, long time.Duration) (watched, error) {
	usage, err := w.site.usage()
	if err != nil {
		return watched{}, err
	}
	from := time.Now()
	select {
	case <-ctx.Done():
		return watched{}, ctx.Err()
	case <-time.After(long):
	}
	after, err := w.site.usage()
	if err != nil {
		return watched{}, err
	}
	got := watched{long: long}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range w.names {
		w.count(&got, name, interval, from, from.Add(long))
	}
	got.temporal = (after.temporal - usage.temporal) / long.Seconds()
	got.control = (after.control - usage.control) / long.Seconds()
	got.postgres = (after.postgres - usage.postgres) / long.Seconds()
	got.temporalMB, got.controlMB = after.temporalMB, after.controlMB
	return got, nil
}

// count counts one node's looks. Each is due an interval after the one before.
func (w *swarm) count(got *watched, name string, interval time.Duration, from, to time.Time) {
	seen, last := 0, from
	for _, at := range w.looks[name] {
		if at.Before(from) {
			last = at
			continue
		}
		if at.After(to) {
			break
		}
		seen++
		late := at.Sub(last) - interval
		if late > lookLate {
			got.late++
		}
		got.latest, last = max(got.latest, late), at
	}
	got.looks += seen
	got.missed += max(0, int(to.Sub(from)/interval)-seen)
}

// usage is the processor time that the platform's parts have used, in
// milliseconds, and the memory that they hold, in MB.
type usage struct {
	temporal, control, postgres float64
	temporalMB, controlMB       float64
}

func (s *site) usage() (u usage, err error) {
	of := func(pid int) (milliseconds, megabytes float64, err error) {
		stat, err := proc.StatOf(pid)
		if err != nil {
			return 0, 0, err
		}
		bytes, err := proc.MemoryOf(pid)
		return float64((stat.Own + stat.Ended).Milliseconds()), float64(bytes) / 1e6, err
	}
	if u.control, u.controlMB, err = of(s.info.PID); err != nil {
		return u, err
	}
	parts, err := proc.ChildrenOf(s.info.PID)
	if err != nil {
		return u, err
	}
	for _, part := range parts {
		switch command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", part.PID)); strings.TrimSpace(string(command)) {
		case "temporal":
			u.temporal, u.temporalMB, err = of(part.PID)
		case "postgres":
			u.postgres, err = s.ofPostgres(part)
		}
		if err != nil {
			return u, err
		}
	}
	if u.temporal == 0 || u.postgres == 0 {
		return u, fmt.Errorf("process %d has not the parts of a platform", s.info.PID)
	}
	return u, nil
}

// ofPostgres is the processor time of Postgres, in milliseconds, with that of its
// sessions.
func (s *site) ofPostgres(main proc.Stat) (float64, error) {
	sessions, err := proc.ChildrenOf(main.PID)
	spent := main.Own + main.Ended
	for _, session := range sessions {
		spent += session.Own
	}
	return float64(spent.Milliseconds()), err
}

// paces are the sizes of fleets that are looked at. The small ones are looked at
// more often than the monitor does it: the rest of the platform would hide what it
// costs.
var paces = []pace{{10, lookInterval / 10}, {100, lookInterval / 3}, {1000, lookInterval}}

type pace struct {
	nodes    int
	interval time.Duration
}

// monitorSwarm looks at more and more nodes, all of which pretend, and says what
// a look costs, and whether each came in time.
func monitorSwarm(ctx context.Context, b *bench) (results []result, err error) {
	if b.options.short {
		return nil, nil // it takes minutes, whatever is left out
	}
	w := b.site.newSwarm()
	defer func() {
		err = errors.Join(err, w.stop(ctx), workers.ScheduleMonitor(ctx, b.site.temporal, lookInterval))
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
		time.Sleep(2 * p.interval) // the first looks of new nodes are not by the clock
		got, err := w.watch(ctx, p.interval, min(b.options.watch, max(2*lookInterval, time.Duration(p.nodes)*time.Second)))
		if err != nil {
			return nil, err
		}
		got.perLook(idle, p.nodes+len(b.site.nodes), p.nodes)
		each := got.temporal + got.control + got.postgres
		b.points("nodes", float64(p.nodes), each)
		if least == 0 {
			least = each
		}
		results = append(results, got.results(p, least)...)
	}
	return results, nil
}

// idle is what the platform uses while nobody looks at its nodes.
func (w *swarm) idle(ctx context.Context) (watched, error) {
	resume, err := w.site.pauseLooks(ctx)
	if err != nil {
		return watched{}, err
	}
	time.Sleep(lookInterval) // what came before has its consequences
	idle, err := w.watch(ctx, lookInterval, 2*lookInterval)
	return idle, errors.Join(err, resume())
}

// results are the figures of one size; least is what a look cost at the smallest.
func (got watched) results(p pace, least float64) []result {
	about := result{Samples: got.looks, Command: fmt.Sprintf("%d nodes with an engine in memory, a look every %s, for %s", p.nodes, p.interval, got.long)}
	figure := func(name, work, unit string, value, target float64) result {
		r := about
		r.Name, r.Work, r.Unit = fmt.Sprintf("monitor-%d-%s", p.nodes, name), work, unit
		r.Value, r.Spread, r.Target = value, [2]float64{value, value}, target
		r.Holds = target == 0 || value <= target
		return r
	}
	each := got.temporal + got.control + got.postgres
	cost := figure("look", fmt.Sprintf("processor time of a look: Temporal %.0f, control worker %.0f, Postgres %.0f ms", got.temporal, got.control, got.postgres), "ms", each, 0)
	if least != each {
		cost.Reference, cost.ReferenceSpread, cost.Ratio, cost.Target = least, [2]float64{least, least}, each/least, 1.2
		cost.Holds = cost.Ratio <= cost.Target
	}
	missed := figure("missed", fmt.Sprintf("looks that were missed, of %d", got.looks+got.missed), "looks", float64(got.missed), 0)
	missed.Holds = got.missed == 0
	latest := figure("late", fmt.Sprintf("how much longer than %s the longest wait for a look was; %d of them over %s", p.interval, got.late, lookLate), "s", got.latest.Seconds(), lookLate.Seconds())
	return []result{
		cost, missed, latest,
		figure("temporal", "memory of Temporal's dev server", "MB", got.temporalMB, 0),
		figure("control", "memory of the platform's own process, with the control worker", "MB", got.controlMB, 0),
	}
}
