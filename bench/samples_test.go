package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuantiles(t *testing.T) {
	for _, c := range []struct {
		of        samples
		median    float64
		quartiles [2]float64
	}{
		{samples{3}, 3, [2]float64{3, 3}},
		{samples{4, 1, 2, 3}, 2.5, [2]float64{1.75, 3.25}},
		{samples{5, 1, 4, 2, 3}, 3, [2]float64{2, 4}},
	} {
		require.InDelta(t, c.median, c.of.median(), 1e-9, c.of)
		require.Equal(t, c.quartiles, c.of.quartiles(), c.of)
	}
}

func TestContendersAlternate(t *testing.T) {
	var order []string
	contends := func(name string) contender {
		return func(_ context.Context, i int) ([]float64, error) {
			order = append(order, name)
			return []float64{float64(i)}, nil
		}
	}
	taken, err := interleave(t.Context(), 1, 2, contends("a"), contends("b"))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "b", "a", "a", "b"}, order)
	require.Equal(t, [][]samples{{{1, 2}}, {{1, 2}}}, taken, "the first round is the warm-up")
}

func TestAFailureYieldsNoFigure(t *testing.T) {
	broken := func(context.Context, int) ([]float64, error) { return []float64{1}, errors.New("broken") }
	taken, err := interleave(t.Context(), 0, 2, broken)
	require.ErrorContains(t, err, "round 1 of contender 1: broken")
	require.Nil(t, taken)
}

func TestResultsHold(t *testing.T) {
	for _, c := range []struct {
		name string
		of   result
		want bool
	}{
		{"below", against(result{Target: 1.5}, samples{30}, samples{20}), true},
		{"above", against(result{Target: 1}, samples{30}, samples{20}), false},
		{"alone", alone(result{Target: 12}, samples{24}), false},
		{"no target", alone(result{}, samples{24}), true},
	} {
		require.Equal(t, c.want, c.of.Holds, c.name)
	}
}

func TestResultsThatAreNotMeasuredStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	name := func(r result) string { return r.Name }
	for _, c := range []struct{ measured, want []result }{
		{[]result{{Name: "a", Value: 1}, {Name: "b", Value: 1}}, []result{{Name: "a", Value: 1}, {Name: "b", Value: 1}}},
		{[]result{{Name: "b", Value: 2}, {Name: "c", Value: 2}}, []result{{Name: "a", Value: 1}, {Name: "b", Value: 2}, {Name: "c", Value: 2}}},
	} {
		all, err := keep(path, c.measured, name)
		require.NoError(t, err)
		require.Equal(t, c.want, all)
	}
}

func TestOnlyRatiosFarAboveTheirTargetFail(t *testing.T) {
	slow := against(result{Name: "slow", Target: 1}, samples{25}, samples{10})
	near := against(result{Name: "near", Target: 1}, samples{19}, samples{10})
	alone := alone(result{Name: "alone", Target: 1}, samples{30})
	b := &bench{options: options{slack: 2}, results: []result{slow, near, alone}}
	require.ErrorContains(t, b.verdict(), "slow")
	require.NotContains(t, b.verdict().Error(), "near")
	require.NotContains(t, b.verdict().Error(), "alone")
	b.options.slack = 0
	require.NoError(t, b.verdict())
	b.failed = []string{"broken"}
	require.ErrorContains(t, b.verdict(), "broken")
}

func TestAFailedRowLeavesNoCurve(t *testing.T) {
	b := &bench{}
	grow := func(points int, err error) row {
		return row{"grow", growing(func(_ context.Context, b *bench) error {
			b.points("components", 1, float64(points))
			return err
		})}
	}
	b.measure(t.Context(), grow(1, errors.New("interrupted")))
	require.Empty(t, b.curves)
	require.Equal(t, []string{"grow"}, b.failed)
	b.measure(t.Context(), grow(2, nil))
	require.Equal(t, []point{{1, 2}}, b.curves[0].Points)
}

func TestARowThatIsTooSlowIsMeasuredTwice(t *testing.T) {
	for _, c := range []struct {
		name   string
		takes  []float64 // the ratio of each take, with a target of 1
		counts float64
		fails  bool
	}{
		{"fast", []float64{1.9}, 1.9, false},
		{"slow once", []float64{5, 1.2}, 1.2, false},
		{"slow twice", []float64{5, 4}, 4, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, takes := &bench{options: options{slack: 2}}, 0
			b.measure(t.Context(), row{"work", func(context.Context, *bench) ([]result, error) {
				takes++
				return []result{against(result{Target: 1}, samples{c.takes[takes-1]}, samples{1})}, nil
			}})
			require.Equal(t, len(c.takes), takes)
			require.Len(t, b.results, 1)
			require.InDelta(t, c.counts, b.results[0].Ratio, 1e-9)
			require.Equal(t, c.fails, b.verdict() != nil)
		})
	}
}
