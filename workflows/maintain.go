package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/routes"
)

// MaintainInput says whether edges answer for a service with a page about its
// maintenance.
type MaintainInput struct {
	Service string `json:"service"`
	On      bool   `json:"on"`
}

// MaintainResult is what became of the publication, by edge.
type MaintainResult struct {
	Edges []routes.EdgePublished `json:"edges"`
}

// Maintain begins or ends the maintenance of a service. It takes no lock: deploys keep
// the maintenance as it is.
func Maintain(ctx workflow.Context, in MaintainInput) (*MaintainResult, error) {
	made, err := call.Control(ctx, "record the maintenance of "+in.Service, call.ReadTimeout, control.SetMaintenance, fleet.MaintenanceRequest(in))
	if err != nil {
		return nil, call.Failure(err)
	}
	publications := []fleet.Publication{made.Publication}
	result := &MaintainResult{Edges: routes.Publish(ctx, made.Edges, publications)}
	if err := routes.RecordPublished(ctx, result.Edges, publications); err != nil {
		return nil, call.Failure(err)
	}
	return result, nil
}
