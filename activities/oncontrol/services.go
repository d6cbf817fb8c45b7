package oncontrol

import (
	"context"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/disposal"
	"github.com/metacircular/mcp/servicedef"
)

// LoadRelease reads what a service should run.
func (a *Control) LoadRelease(ctx context.Context, service string) (fleet.Release, error) {
	return a.Registry.Release(ctx, service)
}

// ListServicesInput selects services.
type ListServicesInput struct {
	// Names selects; empty means all.
	Names []string `json:"names,omitempty"`
	// Forbidden also reads which components the policies of their nodes would not let run.
	Forbidden bool `json:"forbidden,omitempty"`
}

// ListServices reads services with their releases.
func (a *Control) ListServices(ctx context.Context, in ListServicesInput) ([]fleet.ServiceRecord, error) {
	if err := a.closeLost(ctx); err != nil {
		return nil, err
	}
	services, err := a.Registry.Services(ctx, in.Names)
	if err != nil || !in.Forbidden {
		return services, err
	}
	nodes, err := a.Registry.NodeStates(ctx)
	if err != nil {
		return nil, err
	}
	return fleet.WithForbidden(services, nodes), nil
}

// Deploying reports whether a deploy of the service is under way. It asks Temporal:
// the registry still records one that was terminated as under way.
func (a *Control) Deploying(ctx context.Context, service string) (bool, error) {
	return a.Lock.Held(ctx, service)
}

// RecordDefinitionInput is a definition that the operator gave.
type RecordDefinitionInput struct {
	Definition servicedef.Service `json:"definition"`
}

// RecordDefinitionResult reports whether it differs from the last one.
type RecordDefinitionResult struct {
	Changed bool `json:"changed"`
}

// RecordDefinition records a definition without a deployment, unless it is invalid.
func (a *Control) RecordDefinition(ctx context.Context, in RecordDefinitionInput) (RecordDefinitionResult, error) {
	if err := invalid(in.Definition.Validate()); err != nil {
		return RecordDefinitionResult{}, err
	}
	changed, err := a.Registry.RecordDefinition(ctx, in.Definition)
	return RecordDefinitionResult{Changed: changed}, err
}

// MarkMendedInput names a deployment whose undo has been completed.
type MarkMendedInput struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	Run        string `json:"run,omitempty"`
}

// MarkMended clears the mark of a dirty service, unless a newer deployment has
// begun.
func (a *Control) MarkMended(ctx context.Context, in MarkMendedInput) error {
	return a.Registry.MarkMended(ctx, in.Service, in.Deployment, in.Run)
}

// PurgeInput names a service to purge.
type PurgeInput struct {
	Service string `json:"service"`
	// Dry only counts what would be deleted.
	Dry bool `json:"dry,omitempty"`
}

// Purge deletes the records of a service of which no container is left, and counts
// them: none if it was purged already.
func (a *Control) Purge(ctx context.Context, in PurgeInput) (fleet.Forgotten, error) {
	if err := a.closeLost(ctx); err != nil {
		return fleet.Forgotten{}, err
	}
	return a.Registry.Purge(ctx, in.Service, in.Dry, disposal.MayPurge)
}
