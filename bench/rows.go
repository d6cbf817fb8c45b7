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
	{"remote", remote},
	{"streams", streams},
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

// measure measures a row. A row that fails has neither results nor curves. One that
// verdict would fail for is measured once more, and its second figures count: a
// regression is seen twice, a load on the machine that has passed is not.
func (b *bench) measure(ctx context.Context, r row) {
	results, err := b.take(ctx, r)
	if err == nil && len(b.far(results)) > 0 {
		fmt.Fprintln(os.Stderr, "  too slow; measured once more")
		results, err = b.take(ctx, r)
	}
	if err != nil {
		b.failed = append(b.failed, r.name)
		fmt.Fprintf(os.Stderr, "%s failed, so it has no figure: %v\n", r.name, err)
		return
	}
	b.results = append(b.results, results...)
}

// take measures a row once, and prints its results.
func (b *bench) take(ctx context.Context, r row) ([]result, error) {
	started, drawn := time.Now(), len(b.curves)
	fmt.Fprintf(os.Stderr, "%s …\n", r.name)
	results, err := r.measure(ctx, b)
	if err != nil {
		b.curves = b.curves[:drawn]
		return nil, err
	}
	for _, r := range results {
		fmt.Fprintln(os.Stderr, " ", r.line())
	}
	fmt.Fprintf(os.Stderr, "  took %s\n", time.Since(started).Round(time.Second))
	return results, nil
}

// verdict fails if a row has failed, or if a figure is too far from its target.
func (b *bench) verdict() error {
	if len(b.failed) > 0 {
		return fmt.Errorf("these rows failed and have no figure: %v", b.failed)
	}
	if far := b.far(b.results); len(far) > 0 {
		return fmt.Errorf("more than %g times the target:%s", b.options.slack, lines(far))
	}
	return nil
}

// far returns the lines of the results whose ratio exceeds the target by more than
// slack, if that is set. A figure without a reference depends on the machine, so it
// is never among them.
func (b *bench) far(results []result) []string {
	var far []string
	for _, r := range results {
		if slack := b.options.slack; slack > 0 && r.Ratio > slack*r.Target && r.Target > 0 {
			far = append(far, r.line())
		}
	}
	return far
}
