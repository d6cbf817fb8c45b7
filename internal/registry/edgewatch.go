package registry

import (
	"context"

	"github.com/metacircular/mcp/internal/fleet"
)

// MissingAt .
func (s *Store) MissingAt(context.Context, string, string) ([]fleet.Publication, error) {
	return nil, nil
}

// AdmittedEdges .
func (s *Store) AdmittedEdges(context.Context) ([]string, error) { return nil, nil }

// RecordEdgeDrift .
func (s *Store) RecordEdgeDrift(context.Context, fleet.EdgeObservation, []string, func(fleet.EdgeEvidence) fleet.EdgeFindings) (fleet.EdgeFindings, []fleet.Publication, error) {
	return fleet.EdgeFindings{}, nil, errNotYet
}

// OpenEdgeDrift .
func (s *Store) OpenEdgeDrift(context.Context, []fleet.Event, []string) error { return errNotYet }
