package workflows

import (
	"strconv"
	"time"

	"go.temporal.io/sdk/workflow"
)

// What workflows measure, through the SDK: so a replay counts nothing twice. A
// workflow task that a dying worker has not completed may. The names are those
// of the SDK's kind, to which Prometheus adds _total or _seconds.
const (
	MetricDeploys    = "mcp_deploys"
	MetricDeployTime = "mcp_deploy"
	MetricBuilds     = "mcp_builds"
	MetricUndos      = "mcp_undos"
)

// Labels of these metrics. None is the name of a service: those are many, and
// come and go.
const (
	LabelVerb    = "verb"
	LabelOutcome = "outcome"
	LabelDirty   = "dirty"
)

// What LabelOutcome says of an undo.
const (
	UndoComplete   = "complete"
	UndoIncomplete = "incomplete"
)

func count(ctx workflow.Context, name string, labels map[string]string) {
	workflow.GetMetricsHandler(ctx).WithTags(labels).Counter(name).Inc(1)
}

// countDeploy counts a deploy that has ended.
func countDeploy(ctx workflow.Context, verb string, r *Result, elapsed time.Duration) {
	outcome := map[string]string{LabelOutcome: string(r.Outcome)}
	workflow.GetMetricsHandler(ctx).WithTags(outcome).Timer(MetricDeployTime).Record(elapsed)
	count(ctx, MetricDeploys, map[string]string{
		LabelVerb: verb, LabelOutcome: string(r.Outcome), LabelDirty: strconv.FormatBool(r.Dirty),
	})
}

// countBuild counts a build that has ended, with all its attempts.
func countBuild(ctx workflow.Context, err error) {
	outcome := Succeeded
	switch {
	case err != nil && isCancelled(err):
		outcome = Cancelled
	case err != nil:
		outcome = Failed
	}
	count(ctx, MetricBuilds, map[string]string{LabelOutcome: string(outcome)})
}

// countUndo counts a deploy that was put back, or as much of it as could be.
func countUndo(ctx workflow.Context, complete bool) {
	outcome := UndoComplete
	if !complete {
		outcome = UndoIncomplete
	}
	count(ctx, MetricUndos, map[string]string{LabelOutcome: outcome})
}
