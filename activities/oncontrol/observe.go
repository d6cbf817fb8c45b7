package oncontrol

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

// WatchedNodes reads which nodes the monitor observes.
func (a *Control) WatchedNodes(ctx context.Context) ([]fleet.WatchedNode, error) {
	return a.Registry.WatchedNodes(ctx)
}

// RecordObservationResult is what follows from an observation.
type RecordObservationResult struct {
	// Heal are the releases to deploy again.
	Heal []fleet.Snapshot `json:"heal,omitempty"`
	// Alerting are the destinations that have yet to get alerts.
	Alerting []string `json:"alerting,omitempty"`
}

// RecordObservation records an observation of a node, and the drift that has begun
// or ended with it.
func (a *Control) RecordObservation(ctx context.Context, in fleet.Observation) (RecordObservationResult, error) {
	in = in.Checked()
	if err := a.closeLost(ctx); err != nil {
		return RecordObservationResult{}, err
	}
	in.Age += time.Since(activity.GetInfo(ctx).ScheduledTime) // both by this host's clock
	var result RecordObservationResult
	findings, err := a.Registry.RecordObservation(ctx, fleet.RecordRequest{
		Observation: in, Destinations: slices.Sorted(maps.Keys(a.Alerts)),
		Ended: in.Age + watch.Settling, Healed: watch.HealWindow,
	}, watch.Assess)
	if err != nil {
		return result, err
	}
	for _, h := range findings.Heal {
		release, err := a.Registry.Snapshot(ctx, h.Service, h.Release)
		if err != nil {
			return result, err
		}
		result.Heal = append(result.Heal, release)
	}
	if len(a.Alerts) > 0 {
		// This includes events of earlier observations that could not be delivered.
		result.Alerting, err = a.Registry.Alerting(ctx, tooLate)
	}
	return result, err
}

// ListEvents reads events, oldest first.
func (a *Control) ListEvents(ctx context.Context, in fleet.EventQuery) ([]fleet.Event, error) {
	return a.Registry.Events(ctx, in)
}
