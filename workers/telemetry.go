package workers

import (
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/telemetry"
	"github.com/metacircular/mcp/workflows"
)

// declareMetrics declares the metrics that workflows count. Only control workers
// run workflows.
func declareMetrics(t *telemetry.Telemetry) {
	outcome := func(values ...string) telemetry.Label {
		return telemetry.Label{Name: workflows.LabelOutcome, Values: values}
	}
	ended := outcome(string(workflows.Succeeded), string(workflows.Unchanged), string(workflows.Failed), string(workflows.Cancelled))
	t.DeclareCounter(telemetry.Metric{
		Name: workflows.MetricDeploys + "_total",
		Help: "Deploys that have ended, by verb and outcome; a dirty one has an incomplete undo.",
		Labels: []telemetry.Label{
			{Name: workflows.LabelVerb, Values: workflows.Verbs()},
			ended,
			{Name: workflows.LabelDirty, Values: []string{"false", "true"}},
		},
	})
	t.Declare(telemetry.Metric{
		Name:   workflows.MetricDeployTime + "_seconds",
		Help:   "The duration of deploys, in seconds.",
		Labels: []telemetry.Label{ended},
	})
	t.DeclareCounter(telemetry.Metric{
		Name:   workflows.MetricBuilds + "_total",
		Help:   "Builds of images that have ended, on any builder.",
		Labels: []telemetry.Label{outcome(string(workflows.Succeeded), string(workflows.Failed), string(workflows.Cancelled))},
	})
	t.DeclareCounter(telemetry.Metric{
		Name: workflows.MetricSteps + "_total",
		Help: "Runs of steps of deployments that have ended.",
		Labels: []telemetry.Label{outcome(string(fleet.TaskSucceeded), string(fleet.TaskFailed), string(fleet.TaskTimedOut),
			string(fleet.TaskStopped), string(fleet.TaskLost))},
	})
	t.DeclareCounter(telemetry.Metric{
		Name:   workflows.MetricUndos + "_total",
		Help:   "Deploys that were undone: complete, or incomplete if a step of the undo failed.",
		Labels: []telemetry.Label{outcome(workflows.UndoComplete, workflows.UndoIncomplete)},
	})
	t.DeclareCounter(telemetry.Metric{
		Name:   workflows.MetricJobRuns + "_total",
		Help:   "Runs of jobs that have ended, by outcome.",
		Labels: []telemetry.Label{outcome(string(fleet.RunSucceeded), string(fleet.RunFailed), string(fleet.RunCancelled), string(fleet.RunMissed))},
	})
}
