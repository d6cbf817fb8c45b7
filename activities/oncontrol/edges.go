package oncontrol

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/servicedef"
)

// MakePublication records what edges serve for a service from now on, and returns it
// with the edges that have yet to get it. Each call makes a newer version. A request
// without a deployment leaves out what the deployment under way leaves out. The error is
// NotFound if the registry has neither the service nor a publication of it.
func (a *Control) MakePublication(ctx context.Context, in fleet.PublishRequest) (fleet.Publishing, error) {
	return a.Registry.Publish(ctx, in, publication.Routes)
}

// SetMaintenance begins or ends the maintenance of a service, and returns the
// publication that says so. The error is NotFound if there is no such service.
func (a *Control) SetMaintenance(ctx context.Context, in fleet.MaintenanceRequest) (fleet.Publishing, error) {
	return a.Registry.SetMaintenance(ctx, in, publication.Routes)
}

// ListPublicationsInput selects publications.
type ListPublicationsInput struct {
	// Service selects one; "" means all.
	Service string `json:"service,omitempty"`
}

// ListPublicationsResult holds publications in the order of their services.
type ListPublicationsResult struct {
	Publications []fleet.Publication `json:"publications"`
}

// ListPublications reads what edges serve, without the publications that have no
// routes.
func (a *Control) ListPublications(ctx context.Context, in ListPublicationsInput) (ListPublicationsResult, error) {
	publications, err := a.Registry.Publications(ctx, in.Service)
	return ListPublicationsResult{Publications: publications}, err
}

// RecordAcksInput says which publications edges have.
type RecordAcksInput struct {
	Acks []fleet.EdgeAck `json:"acks"`
}

// RecordAcks records which publications edges have. What edges that are not admitted
// report is ignored.
func (a *Control) RecordAcks(ctx context.Context, in RecordAcksInput) error {
	return a.Registry.RecordAcks(ctx, fleet.CheckedAcks(in.Acks, time.Now()))
}

// RecordAnnouncement records that an edge has started, and returns the publications
// that it lacks, if its key is admitted. A key other than the admitted one is a
// Conflict.
func (a *Control) RecordAnnouncement(ctx context.Context, in fleet.EdgeRecord) (fleet.EdgeAnswer, error) {
	key, err := keyOf(in.Name, in.Key)
	if err != nil {
		return fleet.EdgeAnswer{}, err
	}
	in = in.Checked(time.Now())
	in.Key = key
	answer, err := a.Registry.AnnounceEdge(ctx, in)
	if err != nil || len(answer.Secret) == 0 {
		return answer, err
	}
	recipient, err := seal.ParseKey(key)
	if err == nil {
		answer.Pass, err = seal.Seal(fleet.PassSubject(in.Name), answer.Secret, recipient)
	}
	return answer, err
}

// UseStorageInput is a request of an edge, and the run of the workflow that carries it
// out.
type UseStorageInput struct {
	Request fleet.StorageRequest `json:"request"`
	Run     string               `json:"run"`
}

// UseStorage carries out the request of an edge to the storage that edges share. The
// error is Unauthorized unless the request proves that an admitted edge has made it.
func (a *Control) UseStorage(ctx context.Context, in UseStorageInput) (fleet.StorageAnswer, error) {
	return a.Registry.UseStorage(ctx, in.Request, in.Run)
}

// keyOf returns the key of an edge in the one form in which keys are compared.
func keyOf(edge, text string) (string, error) {
	if !servicedef.IsLabel(edge) {
		return "", fault.New(fault.Invalid, "%q is no name of an edge", fleet.Text(edge, 100)).
			WithHint("use lower-case letters, digits and hyphens")
	}
	key, err := seal.ParseKey(text)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "the key of edge %s", edge)
	}
	return key.String(), nil
}

// PinEdge admits the key of an edge and returns the edge. The error is NotFound if
// neither the edge nor the request has a key, and a Conflict if the edge has announced
// another one, or another one is admitted.
func (a *Control) PinEdge(ctx context.Context, in fleet.EdgeAdmission) (fleet.EdgeState, error) {
	if in.Key != "" {
		key, err := keyOf(in.Edge, in.Key)
		if err != nil {
			return fleet.EdgeState{}, err
		}
		in.Key = key
	}
	return a.Registry.AdmitEdge(ctx, in)
}

// ForgetEdge deletes an edge with its key and all that it has acknowledged, if there is
// such an edge.
func (a *Control) ForgetEdge(ctx context.Context, edge string) error {
	return a.Registry.RemoveEdge(ctx, edge)
}

// ListEdges reads the edges in the order of their names, with their last status.
func (a *Control) ListEdges(ctx context.Context) ([]fleet.EdgeState, error) {
	return a.Registry.Edges(ctx)
}

// RecordEdgeStatusInput is the status of an edge.
type RecordEdgeStatusInput struct {
	Edge   string           `json:"edge"`
	Status fleet.EdgeStatus `json:"status"`
}

// RecordEdgeStatus records what an edge reports of itself. The versions in it are
// acknowledged. The status of an edge that is not admitted is ignored.
func (a *Control) RecordEdgeStatus(ctx context.Context, in RecordEdgeStatusInput) error {
	return a.Registry.RecordEdgeStatus(ctx, in.Edge, in.Status.Checked(time.Now()))
}

// EndpointHolders returns the holders of those of the endpoints that are held.
func (a *Control) EndpointHolders(ctx context.Context, endpoints []fleet.Endpoint) ([]fleet.EndpointHolder, error) {
	return a.Registry.EndpointHolders(ctx, endpoints)
}
