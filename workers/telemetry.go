package workers

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/telemetry"
	"github.com/metacircular/mcp/workflows"
)

// workerHeartbeat is how often a process reports its workers to Temporal: several times
// within the time for which a deploy waits for a node that it saw last.
const workerHeartbeat = 20 * time.Second

// Connect returns a client whose connection t measures and whose health t's
// readiness depends on. It does not connect yet: Temporal may start later.
func Connect(o client.Options, t *telemetry.Telemetry) (client.Client, error) {
	t.Instrument(&o)
	o.WorkerHeartbeatInterval = workerHeartbeat
	c, err := client.NewLazyClient(o)
	if err != nil {
		return nil, fmt.Errorf("create a client of Temporal: %w", err)
	}
	t.Check("temporal", func(ctx context.Context) error {
		_, err := c.CheckHealth(ctx, &client.CheckHealthRequest{})
		return err
	})
	return c, nil
}

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
		Name:   workflows.MetricUndos + "_total",
		Help:   "Deploys that were undone: complete, or incomplete if a step of the undo failed.",
		Labels: []telemetry.Label{outcome(workflows.UndoComplete, workflows.UndoIncomplete)},
	})
}
