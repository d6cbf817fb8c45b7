package reads

import (
	"cmp"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// HistoryInput selects deployments of a service.
type HistoryInput struct {
	Service string `json:"service"`
	// Limit is how many of the newest to read; 0 for all.
	Limit int `json:"limit,omitempty"`
	// Steps is the number of the deployment whose steps to read, with their output; 0 for
	// none.
	Steps int `json:"steps,omitempty"`
	// Wait is how long to wait for what is down; 0 for a few seconds.
	Wait time.Duration `json:"wait,omitempty"`
}

// HistoryResult is the deployments of a service.
type HistoryResult struct {
	// Release is the number of the deployment that runs; 0 if none does.
	Release     int                      `json:"release"`
	Deployments []fleet.DeploymentRecord `json:"deployments"`
	// Steps are the runs of the steps of the deployment that was asked for, oldest first.
	Steps []StepRun `json:"steps,omitempty"`
}

// History reads the deployments of a service, newest first.
func History(ctx workflow.Context, in HistoryInput) (*HistoryResult, error) {
	release, err := call.Control(ctx, "load the release", cmp.Or(in.Wait, call.ReadTimeout), control.LoadRelease, in.Service)
	if err != nil {
		return nil, call.Failure(err)
	}
	asked := oncontrol.ListDeploymentsInput{Service: in.Service, Limit: in.Limit}
	deployments, err := call.Control(ctx, "list deployments", cmp.Or(in.Wait, call.ReadTimeout), control.ListDeployments, asked)
	if err != nil {
		return nil, call.Failure(err)
	}
	if deployments == nil {
		deployments = []fleet.DeploymentRecord{}
	}
	result := &HistoryResult{Release: release.Number, Deployments: deployments}
	if in.Steps > 0 {
		if result.Steps, err = stepRuns(ctx, in.Service, in.Steps); err != nil {
			return nil, call.Failure(err)
		}
	}
	return result, nil
}
