package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// samples are measurements of one thing, in one unit.
type samples []float64

func (s samples) median() float64 { return s.quantile(0.5) }

// quartiles returns the bounds of the middle half.
func (s samples) quartiles() [2]float64 { return [2]float64{s.quantile(0.25), s.quantile(0.75)} }

// quantile returns the value below which that share of the samples lies,
// interpolated between the two nearest.
func (s samples) quantile(share float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	at := share * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}

// each returns the samples of one of n equal parts of the work.
func (s samples) each(n int) samples {
	parts := make(samples, len(s))
	for i, whole := range s {
		parts[i] = whole / float64(n)
	}
	return parts
}

// milliseconds converts a duration to a sample.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// contender is one way to do the work: it does it for the i-th time and returns
// what that cost, one figure for each result.
type contender func(ctx context.Context, i int) ([]float64, error)

// timed returns a contender whose only figure is the duration of the work.
func timed(work func(ctx context.Context, i int) error) contender {
	return func(ctx context.Context, i int) ([]float64, error) {
		started := time.Now()
		err := work(ctx, i)
		return []float64{milliseconds(time.Since(started))}, err
	}
}

// interleave runs the contenders in turn, each of them first equally often, and
// returns their samples: by contender, then by figure. The first warmup rounds do
// not count.
func interleave(ctx context.Context, warmup, rounds int, contenders ...contender) ([][]samples, error) {
	taken := make([][]samples, len(contenders))
	for i := range warmup + rounds {
		for position := range contenders {
			c := (position + i) % len(contenders)
			figures, err := contenders[c](ctx, i)
			if err != nil {
				return nil, fmt.Errorf("round %d of contender %d: %w", i+1, c+1, err)
			}
			if i < warmup {
				continue
			}
			if taken[c] == nil {
				taken[c] = make([]samples, len(figures))
			}
			for k, figure := range figures {
				taken[c][k] = append(taken[c][k], figure)
			}
		}
	}
	return taken, nil
}
