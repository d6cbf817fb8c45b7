package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/workflows/call"
)

// PauseJobInput names a job, and who pauses it.
type PauseJobInput = oncontrol.PauseJobInput

// PauseJob pauses the schedule of a job, or resumes it. A run that is under way goes on.
func PauseJob(ctx workflow.Context, in PauseJobInput) error {
	if err := call.ControlSend(ctx, "pause "+in.Service+"/"+in.Job, call.ReadTimeout, control.PauseJob, in); err != nil {
		return call.Failure(err)
	}
	return nil
}
