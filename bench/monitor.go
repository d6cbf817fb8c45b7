package main

import (
	"context"
	"fmt"
	"net/http"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/bench/proc"
	host "github.com/metacircular/mcp/internal/node"
)

// monitorRun observes a node with many containers.
func monitorRun(ctx context.Context, b *bench) ([]result, error) {
	s := b.site
	many, err := b.settle(ctx)
	if err != nil {
		return nil, err
	}
	n := s.settledAt
	var last client.WorkflowRun
	ours := timed(func(ctx context.Context, _ int) (err error) {
		last, err = s.observe(ctx, n)
		return err
	})
	bare := newAPI(n)
	theirs := timed(func(ctx context.Context, _ int) error {
		if err := bare.call(ctx, http.MethodGet, "/info", nil); err != nil {
			return err
		}
		if err := bare.call(ctx, http.MethodGet, "/containers/json?all=true", nil); err != nil {
			return err
		}
		_, err := host.ReadStatus(ctx, s.path(n.name))
		return err
	})
	taken, err := interleave(ctx, 3, 3*b.options.samples, ours, theirs)
	if err != nil {
		return nil, err
	}
	activities := 0
	err = s.eachEvent(ctx, last, func(kind enums.EventType) {
		if kind == enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED {
			activities++
		}
	})
	about := result{Unit: "ms", Warmup: 3, Command: "the workflow MonitorNode"}
	run, steps := about, about
	run.Name, run.Work, run.Target = "monitor-run", fmt.Sprintf("one observation of a node, %d containers", many), 3
	run.ReferenceCommand = "podman's info and list over its API, and gopsutil"
	steps.Name, steps.Work, steps.Target, steps.Unit, steps.Warmup = "monitor-run-activities", "activities of one observation", 2, "activities", 0
	return []result{against(run, taken[0][0], taken[1][0]), alone(steps, samples{float64(activities)})}, err
}

// observationsPerHour is the number of runs of a schedule of 30 seconds.
const observationsPerHour = 120

// workerMemory measures the memory of a node's worker after an hour's worth of
// observations, one after the other.
func workerMemory(ctx context.Context, b *bench) ([]result, error) {
	s := b.site
	if _, err := b.settle(ctx); err != nil {
		return nil, err
	}
	n, observations := s.settledAt, observationsPerHour
	if b.options.short {
		observations /= 4
	}
	warmup := observations / 4
	var worker, podman samples
	for i := range warmup + observations {
		if _, err := s.observe(ctx, n); err != nil {
			return nil, err
		}
		if i < warmup {
			continue
		}
		for of, pid := range map[*samples]int{&worker: n.worker.PID(), &podman: n.podman.PID()} {
			bytes, err := proc.MemoryOf(pid)
			if err != nil {
				return nil, err
			}
			*of = append(*of, float64(bytes)/1e6)
		}
	}
	about := result{Unit: "MB", Warmup: warmup, Command: fmt.Sprintf("mcp worker --node %s, %d observations", n.name, observations)}
	holds, grows := about, about
	holds.Name, holds.Work, holds.Target = "worker-memory", "resident memory of a node's worker over an hour's observations, one after the other", 1.5
	holds.ReferenceCommand = "podman system service, which it calls"
	grows.Name, grows.Work, grows.Target = "worker-memory-growth", "the last quarter of that hour compared with the first", 1.1
	quarter := len(worker) / 4
	return []result{against(holds, worker, podman), against(grows, worker[len(worker)-quarter:], worker[:quarter])}, nil
}
