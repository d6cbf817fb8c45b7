package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// row is one kind of work, whose measuring yields one or more results.
type row struct {
	name    string
	measure func(ctx context.Context, b *bench) ([]result, error)
}

// rows are all that is measured, in the order of the table.
var rows = []row{
	{"deploy-cold", deployCold},
	{"deploy-update", deployUpdate},
	{"deploy-unchanged", deployUnchanged},
	{"status", status},
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

// bench is one run.
type bench struct {
	site    *site
	options options
	results []result
	failed  []string
	curves  []*curve
}

// result is one figure. Without a reference it stands for itself, and the
// target, if there is one, is of its value.
type result struct {
	Name  string  `json:"name"`
	Work  string  `json:"work"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Reference is what the same work takes without mcp, Ratio how many times
	// that Value is; 0 where there is none.
	Reference float64 `json:"reference,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"`
	Target    float64 `json:"target,omitempty"`
	Holds     bool    `json:"holds"`
	// Samples is how many of each were taken, after Warmup more that do not
	// count. Spread and ReferenceSpread are their quartiles.
	Samples         int        `json:"samples"`
	Warmup          int        `json:"warmup"`
	Spread          [2]float64 `json:"spread"`
	ReferenceSpread [2]float64 `json:"reference_spread,omitzero"`
	// Command is what was measured, ReferenceCommand what beside it.
	Command          string `json:"command"`
	ReferenceCommand string `json:"reference_command,omitempty"`
}

// against is the result of work that was measured beside its reference.
func against(r result, ours, theirs samples) result {
	r = alone(r, ours)
	r.Reference, r.ReferenceSpread = theirs.median(), theirs.quartiles()
	r.Ratio = r.Value / r.Reference
	r.Holds = r.Ratio <= r.Target
	return r
}

// alone is the result of work that has no reference.
func alone(r result, ours samples) result {
	r.Value, r.Spread, r.Samples = ours.median(), ours.quartiles(), len(ours)
	r.Holds = r.Target == 0 || r.Value <= r.Target
	return r
}

// measure measures a row. One in which anything failed has no result, nor curves.
func (b *bench) measure(ctx context.Context, r row) {
	started, drawn := time.Now(), len(b.curves)
	fmt.Fprintf(os.Stderr, "%s …\n", r.name)
	results, err := r.measure(ctx, b)
	if err != nil {
		b.failed, b.curves = append(b.failed, r.name), b.curves[:drawn]
		fmt.Fprintf(os.Stderr, "%s: no figure, since it failed: %v\n", r.name, err)
		return
	}
	for _, r := range results {
		fmt.Fprintln(os.Stderr, " ", r.line())
	}
	fmt.Fprintf(os.Stderr, "  took %s\n", time.Since(started).Round(time.Second))
	b.results = append(b.results, results...)
}

// verdict fails if a row did, or a ratio is over its target by more than the
// slack, if there is one. What has no reference says as much of the machine.
func (b *bench) verdict() error {
	if len(b.failed) > 0 {
		return fmt.Errorf("failed, so that there is no figure: %v", b.failed)
	}
	var far []string
	for _, r := range b.results {
		if slack := b.options.slack; slack > 0 && r.Ratio > slack*r.Target && r.Target > 0 {
			far = append(far, r.line())
		}
	}
	if len(far) > 0 {
		return fmt.Errorf("over %g times the target:%s", b.options.slack, lines(far))
	}
	return nil
}
