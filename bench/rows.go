package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// allRows lists all that is measured, in the order of the table.
var allRows = []row{
	{"deploy-cold", deployCold},
	{"deploy-update", deployUpdate},
	{"deploy-unchanged", deployUnchanged},
	{"status", readStatus},
	{"deploy-100", deployHundred},
	{"fleet-20x", fleetAtOnce},
	{"overhead-per-activity", overhead},
	{"monitor-run", monitorRun},
	{"monitor-1000", monitorSwarm},
	{"worker-memory", workerMemory},
	{"per-deploy", perDeploy},
	{"growth-components", growing(growComponents)},
	{"growth-services", growing(growServices)},
	{"growth-rows", growing(growRows)},
}

// measure measures a row. A row that fails has neither results nor curves.
func (b *bench) measure(ctx context.Context, r row) {
	started, drawn := time.Now(), len(b.curves)
	fmt.Fprintf(os.Stderr, "%s …\n", r.name)
	results, err := r.measure(ctx, b)
	if err != nil {
		b.failed, b.curves = append(b.failed, r.name), b.curves[:drawn]
		fmt.Fprintf(os.Stderr, "%s failed, so it has no figure: %v\n", r.name, err)
		return
	}
	for _, r := range results {
		fmt.Fprintln(os.Stderr, " ", r.line())
	}
	fmt.Fprintf(os.Stderr, "  took %s\n", time.Since(started).Round(time.Second))
	b.results = append(b.results, results...)
}

// verdict fails if a row has failed, or if slack is set and a ratio exceeds its
// target by more than that factor. A figure without a reference depends on the
// machine, so it never fails.
func (b *bench) verdict() error {
	if len(b.failed) > 0 {
		return fmt.Errorf("these rows failed and have no figure: %v", b.failed)
	}
	var far []string
	for _, r := range b.results {
		if slack := b.options.slack; slack > 0 && r.Ratio > slack*r.Target && r.Target > 0 {
			far = append(far, r.line())
		}
	}
	if len(far) > 0 {
		return fmt.Errorf("more than %g times the target:%s", b.options.slack, lines(far))
	}
	return nil
}
