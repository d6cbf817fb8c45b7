package oncontrol

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
	AdmittedEdges(ctx context.Context) ([]string, error)
	MissingAt(ctx context.Context, edge, after string) (missing []fleet.Publication, more bool, err error)
	RecordEdgeDrift(ctx context.Context, o fleet.EdgeObservation, destinations []string, decide func(fleet.EdgeEvidence) fleet.EdgeFindings) (fleet.EdgeFindings, []fleet.Publication, error)
	OpenEdgeDrift(ctx context.Context, begun []fleet.Event, destinations []string) error
}

// RecordPublishedInput is what became of publications at the edges.
type RecordPublishedInput struct {
	Acks   []fleet.EdgeAck  `json:"acks,omitempty"`
	Misses []fleet.EdgeMiss `json:"misses,omitempty"`
}

// RecordPublished records which publications edges have and lack. An edge that lacks
// one is stale, which is an event.
func (a *Control) RecordPublished(ctx context.Context, in RecordPublishedInput) error {
	if len(in.Acks) > 0 {
		if err := a.Registry.RecordAcks(ctx, fleet.CheckedAcks(in.Acks, time.Now())); err != nil {
			return err
		}
	}
	if len(in.Misses) == 0 {
		return nil
	}
	return a.Registry.OpenEdgeDrift(ctx, watch.StaleEdges(in.Misses, time.Now()), a.destinations())
}

func (a *Control) destinations() []string { return slices.Sorted(maps.Keys(a.Alerts)) }

// MissingAtInput names an edge.
type MissingAtInput struct {
	Edge string `json:"edge"`
	// After is the service after which to go on; "" begins with the first.
	After string `json:"after,omitempty"`
}

// MissingAtResult holds publications that the edge has not acknowledged, in the order
// of their services.
type MissingAtResult struct {
	Publications []fleet.Publication `json:"publications,omitempty"`
	// More is set if there are more than one answer holds.
	More bool `json:"more,omitempty"`
}

// MissingAt reads the publications that an edge has not acknowledged.
func (a *Control) MissingAt(ctx context.Context, in MissingAtInput) (MissingAtResult, error) {
	missing, more, err := a.Registry.MissingAt(ctx, in.Edge, in.After)
	return MissingAtResult{Publications: missing, More: more}, err
}

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
	// Alerting are the destinations that have yet to get alerts.
	Alerting []string `json:"alerting,omitempty"`
}

// RecordEdgeObservation records an observation of an edge, and the drift that has begun
// or ended with it. An observation of an edge that is not admitted is ignored.
func (a *Control) RecordEdgeObservation(ctx context.Context, in fleet.EdgeObservation) (RecordEdgeObservationResult, error) {
	var result RecordEdgeObservationResult
	if err := a.closeLost(ctx); err != nil { // a lost deployment may have left requests held
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
	result.Remake, result.Missing = findings.Remake, missing
	if len(a.Alerts) > 0 {
		result.Alerting, err = a.Registry.Alerting(ctx, tooLate)
	}
	return result, err
}
