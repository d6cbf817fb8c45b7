package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
)

// MaintainInput is whether edges answer for a service with a page that says so.
type MaintainInput struct {
	Service string `json:"service"`
	On      bool   `json:"on"`
}

// MaintainResult is what became of the publication, by edge.
type MaintainResult struct {
	Edges []EdgePublished `json:"edges"`
}

// Maintain begins or ends the maintenance of a service. It takes no lock: deploys keep
// the maintenance as it is.
func Maintain(ctx workflow.Context, in MaintainInput) (*MaintainResult, error) {
	made, err := callControl(ctx, "record the maintenance of "+in.Service, readTimeout, control.SetMaintenance, fleet.MaintenanceRequest(in))
	if err != nil {
		return nil, readFailure(err)
	}
	publications := []fleet.Publication{made.Publication}
	result := &MaintainResult{Edges: publishTo(ctx, made.Edges, publications)}
	if err := recordPublished(ctx, result.Edges, publications); err != nil {
		return nil, readFailure(err)
	}
	return result, nil
}
