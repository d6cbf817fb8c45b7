package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/workflows/call"
)

// scheduleTimeout is how long a deploy waits for the schedules of its jobs. Control
// workers make sure of them each minute.
const scheduleTimeout = 15 * time.Second

// scheduleJobs makes the schedules of the jobs those of the release, and ends the runs of
// a service that does not run any more. The release stands, whatever becomes of it.
func (d *deploy) scheduleJobs(ctx workflow.Context) {
	if len(d.plan.Jobs) == 0 {
		return
	}
	d.log("Scheduling the jobs")
	service := d.desired.Name
	err := call.ControlSend(ctx, "schedule the jobs of "+service, scheduleTimeout, control.KeepJobs, oncontrol.KeepJobsInput{Service: service})
	if err != nil {
		workflow.GetLogger(ctx).Error("jobs are not scheduled", "error", err)
	}
	if !d.plan.EndsJobs() {
		return
	}
	wait := d.longestStop() + undoTimeout
	step := call.LongControlStep(ctx, "end the runs of jobs", 2*wait)
	err = workflow.ExecuteActivity(step, control.EndRuns, oncontrol.EndRunsInput{Service: service, Wait: wait}).Get(ctx, nil)
	if err != nil {
		d.result.Undone = append(d.result.Undone, "end the runs of jobs: "+attempt.FaultOf(err).Message)
	}
}
