package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

func TestHeal(t *testing.T) {
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	missing := plan.Drift{Kind: plan.DriftMissing, Service: "shop", Component: "web", Container: "shop-web"}
	// past makes events "kind" that happened so long ago, oldest first.
	event := func(kind plan.DriftKind, ago time.Duration) plan.Event {
		return plan.Event{At: at.Add(-ago), Node: "rift", Drift: plan.Drift{Kind: kind, Service: "shop"}}
	}
	tried := func(ago ...time.Duration) (past []plan.Event) {
		for _, d := range ago {
			past = append(past, event(plan.EventReconcile, d))
		}
		return past
	}
	worn := tried(50*time.Minute, 40*time.Minute, 30*time.Minute, 20*time.Minute, 10*time.Minute)
	tests := map[string]struct {
		found  []plan.Drift
		change func(*plan.Release)
		past   []plan.Event
		want   plan.DriftKind
	}{
		"nothing is wrong":                      {},
		"a container is missing":                {found: []plan.Drift{missing}, want: plan.EventReconcile},
		"a container does not run":              {found: []plan.Drift{{Kind: plan.DriftStopped, Service: "shop"}}, want: plan.EventReconcile},
		"something else is wrong":               {found: []plan.Drift{{Kind: plan.DriftWrongImage, Service: "shop"}, {Kind: plan.DriftFlapping, Service: "shop"}}},
		"another service's container":           {found: []plan.Drift{{Kind: plan.DriftMissing, Service: "blog"}}},
		"the service does not want it":          {found: []plan.Drift{missing}, change: func(r *plan.Release) { r.Definition.Reconcile = false }},
		"the service was stopped on purpose":    {found: []plan.Drift{missing}, change: func(r *plan.Release) { r.Active = false }},
		"the service is dirty: Mend is at work": {found: []plan.Drift{missing}, change: func(r *plan.Release) { r.Dirty = true }},
		"the service was never released":        {found: []plan.Drift{missing}, change: func(r *plan.Release) { r.Definition = nil }},
		"too soon after the first":              {found: []plan.Drift{missing}, past: tried(29 * time.Second)},
		"in time after the first":               {found: []plan.Drift{missing}, past: tried(30 * time.Second), want: plan.EventReconcile},
		"too soon after the third":              {found: []plan.Drift{missing}, past: tried(10*time.Minute, 5*time.Minute, 119*time.Second)},
		"in time after the third":               {found: []plan.Drift{missing}, past: tried(10*time.Minute, 5*time.Minute, 2*time.Minute), want: plan.EventReconcile},
		"often enough":                          {found: []plan.Drift{missing}, past: worn, want: plan.EventLeftAlone},
		"often enough, which was told":          {found: []plan.Drift{missing}, past: append(worn[:5:5], event(plan.EventLeftAlone, time.Minute))},
		"an hour after the first":               {found: []plan.Drift{missing}, past: append(tried(time.Hour), worn[1:]...), want: plan.EventReconcile},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			release := plan.Release{Service: "shop", Number: 3, Active: true, Definition: &servicedef.Service{Name: "shop", Reconcile: true}}
			if test.change != nil {
				test.change(&release)
			}
			events, heal := plan.Heal(plan.Observation{Node: "rift", At: at}, test.found, []plan.ServiceRecord{{Release: release}}, test.past)
			if test.want == "" {
				require.Empty(t, events)
				require.Empty(t, heal)
				return
			}
			require.Len(t, events, 1)
			require.Equal(t, test.want, events[0].Kind)
			require.Equal(t, []any{at, at, "rift", "shop"}, []any{events[0].At, events[0].Since, events[0].Node, events[0].Service})
			require.False(t, events[0].Ended)
			if test.want == plan.EventReconcile {
				require.Equal(t, []plan.Healing{{Service: "shop", Release: 3}}, heal)
				require.Contains(t, events[0].Detail, fmt.Sprintf("release 3 again, %d of at most 5", min(len(test.past)+1, 5)))
			} else {
				require.Empty(t, heal)
			}
		})
	}
}
