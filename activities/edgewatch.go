package activities

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

// EdgeWatchStore keeps what is observed of edges.
type EdgeWatchStore interface {
	Fronting(ctx context.Context, service string) (fleet.Fronting, error)
	AdmittedEdges(ctx context.Context) ([]string, error)
	RecordEdgeDrift(ctx context.Context, o fleet.EdgeObservation, destinations []string, decide func(fleet.EdgeEvidence) fleet.EdgeFindings) (fleet.EdgeFindings, []fleet.Publication, error)
	OpenEdgeDrift(ctx context.Context, begun []fleet.Event, destinations []string) error
}

// LoadFronting reads what a deployment has to know of the edges.
func (a *Control) LoadFronting(ctx context.Context, service string) (fleet.Fronting, error) {
	return a.Registry.Fronting(ctx, service)
}

// RecordPublishedInput is what became of publications at the edges.
type RecordPublishedInput struct {
	Acks   []fleet.EdgeAck  `json:"acks,omitempty"`
	Misses []fleet.EdgeMiss `json:"misses,omitempty"`
}

// RecordPublished records what edges have of publications. An edge that lacks one is
// stale, which is an event.
func (a *Control) RecordPublished(ctx context.Context, in RecordPublishedInput) error {
	if len(in.Acks) > 0 {
		if err := a.Registry.RecordAcks(ctx, in.Acks); err != nil {
			return err
		}
	}
	if len(in.Misses) == 0 {
		return nil
	}
	return a.Registry.OpenEdgeDrift(ctx, watch.StaleEdges(in.Misses, time.Now()), a.destinations())
}

func (a *Control) destinations() []string { return slices.Sorted(maps.Keys(a.Alerts)) }

// AdmittedEdges reads the names of the edges that the monitor observes.
func (a *Control) AdmittedEdges(ctx context.Context) ([]string, error) {
	return a.Registry.AdmittedEdges(ctx)
}

// RecordEdgeObservationResult is what follows from an observation of an edge.
type RecordEdgeObservationResult struct {
	// Missing are publications that the edge lacks, as many as one answer holds. Remake
	// are services of which it has a publication that the registry does not have.
	Missing []fleet.Publication `json:"missing,omitempty"`
	Remake  []string            `json:"remake,omitempty"`
	// Alerting are the destinations that have alerts to get.
	Alerting []string `json:"alerting,omitempty"`
}

// RecordEdgeObservation records an observation of an edge, and the drift that has begun
// or ended with it. One of an edge that is not admitted is ignored.
func (a *Control) RecordEdgeObservation(ctx context.Context, in fleet.EdgeObservation) (RecordEdgeObservationResult, error) {
	var result RecordEdgeObservationResult
	if err := a.closeLost(ctx); err != nil { // it may have left requests held
		return result, err
	}
	in = in.Checked()
	if in.Status != nil {
		if err := a.Registry.RecordEdgeStatus(ctx, in.Edge, *in.Status); err != nil {
			return result, err
		}
	}
	findings, missing, err := a.Registry.RecordEdgeDrift(ctx, in, a.destinations(), watch.AssessEdge)
	if err != nil {
		return result, err
	}
	result.Remake, result.Missing = findings.Remake, fleet.Fitting(missing)
	if len(a.Alerts) > 0 {
		result.Alerting, err = a.Registry.Alerting(ctx, tooLate)
	}
	return result, err
}
