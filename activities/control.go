package activities

import (
	"context"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// BeginDeployment opens a deployment and gives it its number, which is the
// fence on every node.
func (a *Control) BeginDeployment(ctx context.Context, in fleet.BeginRequest) (fleet.BeginResult, error) {
	return a.Registry.BeginDeployment(ctx, in)
}

// Renumber moves a deployment that has just begun past a number that a node
// has seen, and returns its new number.
func (a *Control) Renumber(ctx context.Context, in fleet.RenumberRequest) (int, error) {
	return a.Registry.Renumber(ctx, in)
}

// LoadRelease reads what a service should run.
func (a *Control) LoadRelease(ctx context.Context, service string) (fleet.Release, error) {
	return a.Registry.Release(ctx, service)
}

// ImageExistsInput names an image.
type ImageExistsInput struct {
	Image string `json:"image"`
}

// ImageExistsResult says what the image registry answered.
type ImageExistsResult struct {
	Exists bool `json:"exists"`
	// Digest is the manifest's, "sha256:…"; "" if there is none.
	Digest string `json:"digest,omitempty"`
}

// ImageExists asks the image registry for a tag. A missing tag is an answer;
// a refused or failed question is an error.
func (a *Control) ImageExists(ctx context.Context, in ImageExistsInput) (ImageExistsResult, error) {
	digest, err := a.Images.Digest(ctx, in.Image)
	if fault.Is(err, fault.NotFound) {
		return ImageExistsResult{}, nil
	}
	return ImageExistsResult{Exists: err == nil, Digest: digest}, err
}

// AllocatePortsResult holds the routes with their host ports.
type AllocatePortsResult struct {
	Routes []fleet.Route `json:"routes,omitempty"`
}

// AllocatePorts reserves host ports for one component of one deployment.
func (a *Control) AllocatePorts(ctx context.Context, in fleet.PortRequest) (AllocatePortsResult, error) {
	routes, err := a.Registry.AllocatePorts(ctx, in)
	return AllocatePortsResult{Routes: routes}, err
}

// ReleasePorts sets every port of the service to rest that its committed
// release does not use.
func (a *Control) ReleasePorts(ctx context.Context, service string) error {
	return a.Registry.ReleasePorts(ctx, service, a.PortRest)
}

// CommitRelease makes a deployment the release, and returns the images that
// no release needs any more.
func (a *Control) CommitRelease(ctx context.Context, in fleet.CommitRequest) (fleet.CommitResult, error) {
	return a.Registry.CommitRelease(ctx, in)
}

// FinishDeployment writes a deployment's outcome, and may let its ports rest.
func (a *Control) FinishDeployment(ctx context.Context, in fleet.FinishRequest) error {
	in.PortRest = a.PortRest
	return a.Registry.FinishDeployment(ctx, in)
}

// RecordDefinitionInput is what the operator gave.
type RecordDefinitionInput struct {
	Definition servicedef.Service `json:"definition"`
}

// RecordDefinitionResult says whether it is another than the last.
type RecordDefinitionResult struct {
	Changed bool `json:"changed"`
}

// RecordDefinition writes down a definition that nobody has deployed yet.
func (a *Control) RecordDefinition(ctx context.Context, in RecordDefinitionInput) (RecordDefinitionResult, error) {
	changed, err := a.Registry.RecordDefinition(ctx, in.Definition)
	return RecordDefinitionResult{Changed: changed}, err
}

// MarkMendedInput names a deployment whose undo has been completed.
type MarkMendedInput struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
}

// MarkMended clears the mark of a dirty service, unless a newer deployment has
// begun.
func (a *Control) MarkMended(ctx context.Context, in MarkMendedInput) error {
	return a.Registry.MarkMended(ctx, in.Service, in.Deployment)
}

// RecordNode writes down that a node's worker announced itself, and tells what
// is to be done if its host has booted.
func (a *Control) RecordNode(ctx context.Context, in fleet.NodeRecord) (fleet.Boot, error) {
	return a.Registry.RecordNode(ctx, in)
}

// MarkRevivedInput names a boot of a node's host.
type MarkRevivedInput struct {
	Node string `json:"node"`
	Boot string `json:"boot"`
}

// MarkRevived writes down that what the boot had ended runs again.
func (a *Control) MarkRevived(ctx context.Context, in MarkRevivedInput) error {
	return a.Registry.MarkRevived(ctx, in.Node, in.Boot)
}

// Deploying reports whether a deploy of the service is under way. It asks who
// knows: by the registry, one that was terminated goes on.
func (a *Control) Deploying(ctx context.Context, service string) (bool, error) {
	return a.Lock.Held(ctx, service)
}

// ListNodes reads the nodes of the fleet.
func (a *Control) ListNodes(ctx context.Context) ([]fleet.NodeRecord, error) {
	return a.Registry.Nodes(ctx)
}

// ListServicesInput selects services.
type ListServicesInput struct {
	// Names selects; empty means all.
	Names []string `json:"names,omitempty"`
}

// ListServices reads services with their releases.
func (a *Control) ListServices(ctx context.Context, in ListServicesInput) ([]fleet.ServiceRecord, error) {
	return a.Registry.Services(ctx, in.Names)
}

// ListDeploymentsInput selects deployments.
type ListDeploymentsInput struct {
	Service string `json:"service"`
	// Limit is how many of the newest to read; 0 for all.
	Limit int `json:"limit,omitempty"`
}

// ListDeployments reads the deployments of a service, newest first.
func (a *Control) ListDeployments(ctx context.Context, in ListDeploymentsInput) ([]fleet.DeploymentRecord, error) {
	return a.Registry.Deployments(ctx, in.Service, in.Limit)
}

// LoadSnapshotInput names a former release.
type LoadSnapshotInput struct {
	Service string `json:"service"`
	Number  int    `json:"number"`
}

// LoadSnapshot reads a former release, to deploy it again.
func (a *Control) LoadSnapshot(ctx context.Context, in LoadSnapshotInput) (fleet.Snapshot, error) {
	return a.Registry.Snapshot(ctx, in.Service, in.Number)
}

// PurgeInput names a service to forget.
type PurgeInput struct {
	Service string `json:"service"`
	// Dry only counts what would be forgotten.
	Dry bool `json:"dry,omitempty"`
}

// Purge forgets a service of which no container is left, and says how much that
// was: nothing, where it has been forgotten already.
func (a *Control) Purge(ctx context.Context, in PurgeInput) (fleet.Forgotten, error) {
	return a.Registry.Purge(ctx, in.Service, in.Dry)
}
