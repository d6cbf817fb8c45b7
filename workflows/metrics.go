package workflows

import (
	"strconv"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// Metrics of workflows. They go through the SDK, so that a replay counts nothing
// twice; a workflow task that a dying worker has not completed may. Prometheus adds
// _total or _seconds to the names.
const (
	MetricDeploys    = "mcp_deploys"
	MetricDeployTime = "mcp_deploy"
	MetricBuilds     = "mcp_builds"
	MetricUndos      = "mcp_undos"
	MetricJobRuns    = "mcp_job_runs"
	MetricSteps      = "mcp_steps"
)

// Labels of these metrics. None is the name of a service: there are many, and they
// come and go.
const (
	LabelVerb    = "verb"
	LabelOutcome = "outcome"
	LabelDirty   = "dirty"
)

// Values of LabelOutcome for an undo.
const (
	UndoComplete   = "complete"
	UndoIncomplete = "incomplete"
)

func count(ctx workflow.Context, name string, labels map[string]string) {
	workflow.GetMetricsHandler(ctx).WithTags(labels).Counter(name).Inc(1)
}

// countDeploy counts a deploy that has ended.
func countDeploy(ctx workflow.Context, verb fleet.Verb, r *Result, elapsed time.Duration) {
	outcome := map[string]string{LabelOutcome: string(r.Outcome)}
	workflow.GetMetricsHandler(ctx).WithTags(outcome).Timer(MetricDeployTime).Record(elapsed)
	count(ctx, MetricDeploys, map[string]string{
		LabelVerb: string(verb), LabelOutcome: string(r.Outcome), LabelDirty: strconv.FormatBool(r.Dirty),
	})
}

// countStep counts a run of a step that has ended.
func countStep(ctx workflow.Context, state fleet.TaskState) {
	count(ctx, MetricSteps, map[string]string{LabelOutcome: string(state)})
}

// countBuild counts a build that has ended, with all its attempts.
func countBuild(ctx workflow.Context, err error) {
	outcome := Succeeded
	switch {
	case err != nil && call.IsCancelled(err):
		outcome = Cancelled
	case err != nil:
		outcome = Failed
	}
	count(ctx, MetricBuilds, map[string]string{LabelOutcome: string(outcome)})
}

// countUndo counts a deploy that was put back, completely or not.
func countUndo(ctx workflow.Context, complete bool) {
	outcome := UndoComplete
	if !complete {
		outcome = UndoIncomplete
	}
	count(ctx, MetricUndos, map[string]string{LabelOutcome: outcome})
}
