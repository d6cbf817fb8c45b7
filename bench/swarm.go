package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// The monitor's interval on a local platform, and how late an observation may be.
const (
	observeInterval = 30 * time.Second
	tolerance       = 5 * time.Second
)

// startedAtOnce is how many nodes are started or removed concurrently.
const startedAtOnce = 16

// swarm is a set of simulated nodes, each with its own task queue and worker, and
// an engine in memory.
type swarm struct {
	site    *site
	workers []worker.Worker
	names   []string
	mu      sync.Mutex
	// observed has the times of each node's observations.
	observed map[string][]time.Time
}

// newSwarm returns a swarm without nodes.
func (s *site) newSwarm() *swarm {
	return &swarm{site: s, observed: map[string][]time.Time{}}
}

// grow starts nodes until the swarm has the given number.
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
	// One poller suffices for two observations a minute; a real node has two.
	o := worker.Options{DisableWorkflowWorker: true, MaxConcurrentActivityTaskPollers: 1}
	node := worker.New(w.site.temporal, activities.QueueNode(name), o)
	node.RegisterActivity(&onnode.Node{Name: name, Runtime: engine, Host: simulatedHost{w, name}})
	if err := node.Start(); err != nil {
		return err
	}
	w.mu.Lock()
	w.workers = append(w.workers, node)
	w.mu.Unlock()
	return w.run(ctx, tend.RegisterNodeName, fleet.NodeRecord{Name: name})
}

func (w *swarm) run(ctx context.Context, workflow string, arg any) error {
	run, err := w.site.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: workflows.Queue}, workflow, arg)
	if err != nil {
		return err
	}
	return run.Get(ctx, nil)
}

// stop stops the nodes and removes them from the registry.
func (w *swarm) stop(ctx context.Context) error {
	if ctx.Err() == nil { // otherwise the whole platform is removed
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(startedAtOnce)
		for _, name := range w.names {
			g.Go(func() error { return w.run(ctx, tend.RemoveNodeName, name) })
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

// simulatedHost is a host that records when it is observed.
type simulatedHost struct {
	swarm *swarm
	name  string
}

func (p simulatedHost) Status(context.Context, string, []string) (fleet.NodeStatus, error) {
	p.swarm.mu.Lock()
	defer p.swarm.mu.Unlock()
	p.swarm.observed[p.name] = append(p.swarm.observed[p.name], time.Now())
	return fleet.NodeStatus{NodeFigures: fleet.NodeFigures{CPUPercent: 10, Load: []float64{1, 1, 1}}}, nil
}
