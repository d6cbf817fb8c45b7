package watch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
	"github.com/metacircular/mcp/servicedef"
)

func TestHeal(t *testing.T) {
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	missing := fleet.Drift{Kind: fleet.DriftMissing, Service: "shop", Component: "web", Container: "shop-web"}
	// past makes events "kind" that happened so long ago, oldest first.
	event := func(kind fleet.DriftKind, ago time.Duration) fleet.Event {
		return fleet.Event{At: at.Add(-ago), Node: "rift", Drift: fleet.Drift{Kind: kind, Service: "shop"}}
	}
	tried := func(ago ...time.Duration) (past []fleet.Event) {
		for _, d := range ago {
			past = append(past, event(fleet.EventReconcile, d))
		}
		return past
	}
	worn := tried(50*time.Minute, 40*time.Minute, 30*time.Minute, 20*time.Minute, 10*time.Minute)
	tests := map[string]struct {
		found  []fleet.Drift
		change func(*fleet.Release)
		lost   int
		past   []fleet.Event
		want   fleet.DriftKind
	}{
		"nothing is wrong":                      {},
		"a container is missing":                {found: []fleet.Drift{missing}, want: fleet.EventReconcile},
		"a container does not run":              {found: []fleet.Drift{{Kind: fleet.DriftStopped, Service: "shop"}}, want: fleet.EventReconcile},
		"something else is wrong":               {found: []fleet.Drift{{Kind: fleet.DriftWrongImage, Service: "shop"}, {Kind: fleet.DriftFlapping, Service: "shop"}}},
		"another service's container":           {found: []fleet.Drift{{Kind: fleet.DriftMissing, Service: "blog"}}},
		"the service does not want it":          {found: []fleet.Drift{missing}, change: func(r *fleet.Release) { r.Definition.Reconcile = false }},
		"the service was stopped on purpose":    {found: []fleet.Drift{missing}, change: func(r *fleet.Release) { r.Active = false }},
		"the service is dirty: Mend is at work": {found: []fleet.Drift{missing}, change: func(r *fleet.Release) { r.Dirty = true }},
		"a lost deployment has left it dirty":   {found: []fleet.Drift{missing}, change: func(r *fleet.Release) { r.Dirty = true }, lost: 4, want: fleet.EventReconcile},
		"the service was never released":        {found: []fleet.Drift{missing}, change: func(r *fleet.Release) { r.Definition = nil }},
		"too soon after the first":              {found: []fleet.Drift{missing}, past: tried(29 * time.Second)},
		"in time after the first":               {found: []fleet.Drift{missing}, past: tried(30 * time.Second), want: fleet.EventReconcile},
		"too soon after the third":              {found: []fleet.Drift{missing}, past: tried(10*time.Minute, 5*time.Minute, 119*time.Second)},
		"in time after the third":               {found: []fleet.Drift{missing}, past: tried(10*time.Minute, 5*time.Minute, 2*time.Minute), want: fleet.EventReconcile},
		"often enough":                          {found: []fleet.Drift{missing}, past: worn, want: fleet.EventLeftAlone},
		"often enough, and that was recorded":   {found: []fleet.Drift{missing}, past: append(worn[:5:5], event(fleet.EventLeftAlone, time.Minute))},
		"an hour after the first":               {found: []fleet.Drift{missing}, past: append(tried(time.Hour), worn[1:]...), want: fleet.EventReconcile},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			release := fleet.Release{Service: "shop", Number: 3, Active: true, Definition: &servicedef.Service{Name: "shop", Reconcile: true}}
			if test.change != nil {
				test.change(&release)
			}
			events, heal := watch.Heal(fleet.Observation{Node: "rift", At: at}, test.found, []fleet.ServiceRecord{{Release: release, Lost: test.lost}}, test.past)
			if test.want == "" {
				require.Empty(t, events)
				require.Empty(t, heal)
				return
			}
			require.Len(t, events, 1)
			require.Equal(t, test.want, events[0].Kind)
			require.Equal(t, []any{at, at, "rift", "shop"}, []any{events[0].At, events[0].Since, events[0].Node, events[0].Service})
			require.False(t, events[0].Ended)
			if test.want == fleet.EventReconcile {
				require.Equal(t, []fleet.Healing{{Service: "shop", Release: 3}}, heal)
				require.Contains(t, events[0].Detail, fmt.Sprintf("release 3 again, %d of at most 5", min(len(test.past)+1, 5)))
			} else {
				require.Empty(t, heal)
			}
		})
	}
}
