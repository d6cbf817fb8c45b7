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

// overhead measures the cost of a step that does nothing, with workers that run on
// half of the processors, as mcp's do. Its milliseconds depend on the machine as
// much as on Temporal, so it is also compared with a workflow without steps.
func overhead(ctx context.Context, b *bench) ([]result, error) {
	all := runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))
	defer runtime.GOMAXPROCS(all)
	stop, err := serveOverhead(b.site.temporal)
	if err != nil {
		return nil, err
	}
	defer stop()
	const warmup = 5
	taken, err := interleave(ctx, warmup, 10*b.options.samples, b.overheadOf(overheadSteps), b.overheadOf(0))
	if err != nil {
		return nil, err
	}
	five, none := taken[0][0], taken[1][0]
	return []result{
		alone(result{
			Name: "overhead-per-activity", Work: "each of five activities on two queues", Unit: "ms", Target: 12, Warmup: warmup,
			Command: "a workflow of five activities that do nothing",
		}, five.each(overheadSteps)),
		against(result{
			Name: "overhead-of-five", Work: "all five, compared with a workflow without activities", Unit: "ms", Target: 7.7, Warmup: warmup,
			Command: "a workflow of five activities that do nothing", ReferenceCommand: "a workflow without activities",
		}, five, none),
	}, nil
}

// overheadOf runs the workflow with a number of steps.
func (b *bench) overheadOf(steps int) contender {
	return timed(func(ctx context.Context, _ int) error {
		run, err := b.site.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: overheadQueue}, overheadWorkflow, steps)
		if err != nil {
			return err
		}
		return run.Get(ctx, nil)
	})
}

// The activities of overhead do nothing, alternately on the queues of two nodes.
const (
	overheadQueue    = "bench"
	overheadActivity = "Nothing"
	overheadSteps    = 5
)

func overheadWorkflow(ctx workflow.Context, steps int) error {
	for i := range steps {
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
