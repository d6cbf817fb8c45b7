package registry

import (
	"context"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

var errNotYet error = fault.New(fault.Unavailable, "the registry keeps no edges yet")

// Publish .
func (s *Store) Publish(context.Context, fleet.PublishRequest, func(fleet.PublicationSource) []fleet.EdgeRoute) (fleet.Publishing, error) {
	return fleet.Publishing{}, errNotYet
}

// SetMaintenance .
func (s *Store) SetMaintenance(context.Context, fleet.MaintenanceRequest, func(fleet.PublicationSource) []fleet.EdgeRoute) (fleet.Publishing, error) {
	return fleet.Publishing{}, errNotYet
}

// Publications .
func (s *Store) Publications(context.Context, string) ([]fleet.Publication, error) { return nil, nil }

// RecordAcks .
func (s *Store) RecordAcks(context.Context, []fleet.EdgeAck) error { return errNotYet }

// AnnounceEdge .
func (s *Store) AnnounceEdge(context.Context, fleet.EdgeRecord) (fleet.EdgeAnswer, error) {
	return fleet.EdgeAnswer{}, errNotYet
}

// AdmitEdge .
func (s *Store) AdmitEdge(context.Context, fleet.EdgeAdmission) (fleet.EdgeState, error) {
	return fleet.EdgeState{}, errNotYet
}

// RemoveEdge .
func (s *Store) RemoveEdge(context.Context, string) error { return errNotYet }

// Edges .
func (s *Store) Edges(context.Context) ([]fleet.EdgeState, error) { return nil, nil }

// RecordEdgeStatus .
func (s *Store) RecordEdgeStatus(context.Context, string, fleet.EdgeStatus) error { return errNotYet }

// EndpointHolders .
func (s *Store) EndpointHolders(context.Context, []fleet.Endpoint) ([]fleet.EndpointHolder, error) {
	return nil, nil
}

// DropTombstones .
func (s *Store) DropTombstones(context.Context) error { return nil }
