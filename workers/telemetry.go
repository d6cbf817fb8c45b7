package workers

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/internal/telemetry"
	"github.com/metacircular/mcp/workflows"
)

// Connect returns a client whose connection t measures, and without which t is
// not ready. It does not connect yet: Temporal may come later.
func Connect(o client.Options, t *telemetry.Telemetry) (client.Client, error) {
	t.Instrument(&o)
	c, err := client.NewLazyClient(o)
	if err != nil {
		return nil, fmt.Errorf("make a client of Temporal: %w", err)
	}
	t.Check("temporal", func(ctx context.Context) error {
		_, err := c.CheckHealth(ctx, &client.CheckHealthRequest{})
		return err
	})
	return c, nil
}

// declareMetrics describes what workflows count. Only control workers run them.
func declareMetrics(t *telemetry.Telemetry) {
	outcome := func(values ...string) telemetry.Label {
		return telemetry.Label{Name: workflows.LabelOutcome, Values: values}
	}
	ended := outcome(string(workflows.Succeeded), string(workflows.Unchanged), string(workflows.Failed), string(workflows.Cancelled))
	t.DeclareCounter(telemetry.Metric{
		Name: workflows.MetricDeploys + "_total",
		Help: "Deploys that have ended, by verb and outcome; a dirty one has left something undone.",
		Labels: []telemetry.Label{
			{Name: workflows.LabelVerb, Values: workflows.MeteredVerbs()},
			ended,
			{Name: workflows.LabelDirty, Values: []string{"false", "true"}},
		},
	})
	t.Declare(telemetry.Metric{
		Name:   workflows.MetricDeployTime + "_seconds",
		Help:   "How long deploys took, in seconds.",
		Labels: []telemetry.Label{ended},
	})
	t.DeclareCounter(telemetry.Metric{
		Name:   workflows.MetricBuilds + "_total",
		Help:   "Builds of images that have ended, on whichever builder.",
		Labels: []telemetry.Label{outcome(string(workflows.Succeeded), string(workflows.Failed), string(workflows.Cancelled))},
	})
	t.DeclareCounter(telemetry.Metric{
		Name:   workflows.MetricUndos + "_total",
		Help:   "Deploys that were put back: complete, or incomplete where something could not be.",
		Labels: []telemetry.Label{outcome(workflows.UndoComplete, workflows.UndoIncomplete)},
	})
}

// checkPolls makes it a condition for being ready that a queue is polled.
func (w *Workers) checkPolls(q telemetry.Queue) {
	w.telemetry.Check("poll "+q.String(), func(context.Context) error { return w.telemetry.Polling(q) })
}

// podman is the podman behind a socket, without which a role is not ready.
func (w *Workers) podman(socket string) *podman.Engine {
	engine := podman.New(socket)
	w.telemetry.Check("podman at "+socket, func(ctx context.Context) error {
		_, err := engine.Version(ctx)
		return err
	})
	w.closers = append(w.closers, engine.Close)
	return engine
}
