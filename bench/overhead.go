package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// What overhead runs: activities that do nothing, in turn on two nodes' queues.
const (
	overheadQueue    = "bench"
	overheadActivity = "Nothing"
	overheadSteps    = 5
)

func overheadWorkflow(ctx workflow.Context) error {
	for i := range overheadSteps {
		step := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			TaskQueue: fmt.Sprint(overheadQueue, "-", i%2), StartToCloseTimeout: time.Minute,
		})
		if err := workflow.ExecuteActivity(step, overheadActivity).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// serveOverhead starts the workers that overheadWorkflow needs.
func serveOverhead(c client.Client) (stop func(), err error) {
	control := worker.New(c, overheadQueue, worker.Options{})
	control.RegisterWorkflow(overheadWorkflow)
	running := []worker.Worker{control}
	for i := range 2 {
		w := worker.New(c, fmt.Sprint(overheadQueue, "-", i), worker.Options{DisableWorkflowWorker: true})
		w.RegisterActivityWithOptions(func(context.Context) error { return nil }, activity.RegisterOptions{Name: overheadActivity})
		running = append(running, w)
	}
	for _, w := range running {
		if err := w.Start(); err != nil {
			return nil, err
		}
	}
	return func() {
		for _, w := range running {
			w.Stop()
		}
	}, nil
}

// overhead is what a step costs that does nothing, with workers that run on half
// of the processors, as mcp's do.
func overhead(ctx context.Context, b *bench) ([]result, error) {
	all := runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))
	defer runtime.GOMAXPROCS(all)
	stop, err := serveOverhead(b.site.temporal)
	if err != nil {
		return nil, err
	}
	defer stop()
	const warmup = 5
	taken, err := interleave(ctx, warmup, 10*b.options.samples, func(ctx context.Context, _ int) ([]float64, error) {
		took, err := runOverhead(ctx, b.site.temporal)
		return []float64{took / overheadSteps}, err
	})
	if err != nil {
		return nil, err
	}
	return []result{alone(result{
		Name: "overhead-per-activity", Work: "five activities on two queues, each", Unit: "ms", Target: 12, Warmup: warmup,
		Command: "a workflow of five activities that do nothing",
	}, taken[0][0])}, nil
}

// runOverhead runs the workflow once, and says how many milliseconds it took.
func runOverhead(ctx context.Context, c client.Client) (float64, error) {
	started := time.Now()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: overheadQueue}, overheadWorkflow)
	if err == nil {
		err = run.Get(ctx, nil)
	}
	return milliseconds(time.Since(started)), err
}
