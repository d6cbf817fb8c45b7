package reads

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// JobsInput selects services.
type JobsInput struct {
	// Services selects by name; empty means all.
	Services []string `json:"services,omitempty"`
}

// Jobs reads the jobs of releases, with their last runs.
func Jobs(ctx workflow.Context, in JobsInput) ([]fleet.JobState, error) {
	states, err := call.Control(ctx, "list jobs", call.ReadTimeout, control.ListJobs, oncontrol.ListJobsInput{Services: in.Services})
	if err != nil {
		return nil, call.Failure(err)
	}
	return states, nil
}

// JobRunsInput selects runs of a job.
type JobRunsInput struct {
	Service string `json:"service"`
	Job     string `json:"job"`
	// Limit is how many of the newest to read; 0 for all.
	Limit int `json:"limit,omitempty"`
}

// JobRuns reads the runs of a job, newest first.
func JobRuns(ctx workflow.Context, in JobRunsInput) ([]fleet.JobRun, error) {
	runs, err := call.Control(ctx, "list runs", call.ReadTimeout, control.ListRuns, oncontrol.ListRunsInput{Service: in.Service, Job: in.Job, Limit: in.Limit})
	if err != nil {
		return nil, call.Failure(err)
	}
	return runs, nil
}
