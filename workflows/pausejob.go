package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
)

// PauseJobInput names a job, and who pauses it.
type PauseJobInput = oncontrol.PauseJobInput

// PauseJob pauses the schedule of a job, or resumes it. A run that is under way goes on.
func PauseJob(ctx workflow.Context, in PauseJobInput) error {
	if err := sendControl(ctx, "pause "+in.Service+"/"+in.Job, readTimeout, control.PauseJob, in); err != nil {
		return readFailure(err)
	}
	return nil
}
