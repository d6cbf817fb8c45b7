package oncontrol

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/disposal"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/internal/watch"
)

// BeginDeployment opens a deployment and gives it its number, which is the
// fence on every node. It records no definition that is invalid, whoever sent it.
func (a *Control) BeginDeployment(ctx context.Context, in fleet.BeginRequest) (fleet.BeginResult, error) {
	if in.Given != nil {
		if err := invalid(in.Given.Validate()); err != nil {
			return fleet.BeginResult{}, err
		}
	}
	if err := invalid(in.Definition.ValidateNames()); err != nil {
		return fleet.BeginResult{}, err
	}
	in.Claims = publication.Endpoints(in.Definition)
	begun, err := a.Registry.BeginDeployment(ctx, in)
	if fault.Is(err, fault.Conflict) {
		// The holder of an endpoint may be a deployment whose workflow was ended.
		if lost := a.closeLost(ctx); lost != nil {
			return begun, err
		}
		begun, err = a.Registry.BeginDeployment(ctx, in)
	}
	return begun, err
}

// invalid returns what is wrong with a definition as a fault.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Invalid, err, "record the definition")
}

// Renumber moves a deployment that has just begun past a number that a node
// has seen, and returns its new number.
func (a *Control) Renumber(ctx context.Context, in fleet.RenumberRequest) (int, error) {
	return a.Registry.Renumber(ctx, in)
}

// CommitRelease makes a deployment the release, and returns the images that
// no release needs any more, and what edges have to serve.
func (a *Control) CommitRelease(ctx context.Context, in fleet.CommitRequest) (fleet.CommitResult, error) {
	in.KeptReleases, in.FormerReleases = disposal.KeptReleases, disposal.FormerReleases
	if in.Definition != nil {
		in.Claims = publication.Endpoints(*in.Definition)
	}
	committed, err := a.Registry.CommitRelease(ctx, in, publication.Routes)
	result := disposal.StaleImages(committed.Former)
	result.Publishing, result.Secrets = committed.Publishing, committed.Secrets
	return result, err
}

// FinishDeployment records a deployment's outcome and an event for each node that keeps
// a predecessor, and may let its ports rest.
func (a *Control) FinishDeployment(ctx context.Context, in fleet.FinishRequest) error {
	in.PortRest, in.Destinations = a.PortRest, slices.Sorted(maps.Keys(a.Alerts))
	now := time.Now()
	in.Events = append(watch.NotRetired(in.Service, in.NotRetired, now), watch.StepsFailed(in.Service, in.FailedSteps, now)...)
	return a.Registry.FinishDeployment(ctx, in)
}

// ListDeploymentsInput selects deployments.
type ListDeploymentsInput struct {
	Service string `json:"service"`
	// Limit is how many of the newest to read; 0 for all.
	Limit int `json:"limit,omitempty"`
}

// ListDeployments reads the deployments of a service, newest first.
func (a *Control) ListDeployments(ctx context.Context, in ListDeploymentsInput) ([]fleet.DeploymentRecord, error) {
	if err := a.closeLost(ctx); err != nil {
		return nil, err
	}
	return a.Registry.Deployments(ctx, in.Service, in.Limit)
}

// LoadSnapshotInput names a former release.
type LoadSnapshotInput struct {
	Service string `json:"service"`
	Number  int    `json:"number"`
}

// LoadSnapshot reads a former release, to deploy it again.
func (a *Control) LoadSnapshot(ctx context.Context, in LoadSnapshotInput) (fleet.Snapshot, error) {
	if err := a.closeLost(ctx); err != nil {
		return fleet.Snapshot{}, err
	}
	return a.Registry.Snapshot(ctx, in.Service, in.Number)
}
