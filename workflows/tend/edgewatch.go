package tend

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/routes"
)

// observeEdges observes the admitted edges side by side. None delays another.
func observeEdges(ctx workflow.Context) error {
	names, err := call.ControlQuery(ctx, "list edges", call.RecordTimeout, control.AdmittedEdges)
	if err != nil {
		return err
	}
	var failed error
	g := call.NewGroup(ctx)
	for _, name := range names {
		g.Go(func(ctx workflow.Context) error {
			if err := monitorEdge(ctx, name); err != nil {
				failed = err
			}
			return nil
		})
	}
	_ = g.Wait(ctx) // its functions return no error
	return failed
}

// monitorEdge observes an edge once, and publishes to it what it lacks.
func monitorEdge(ctx workflow.Context, name string) error {
	seen := fleet.EdgeObservation{Edge: name, At: workflow.Now(ctx)}
	var status fleet.EdgeStatus
	step := call.EdgeStep(ctx, name, "observe edge "+name, 0)
	err := call.EdgeFault(workflow.ExecuteActivity(step, edge.ObserveEdge).Get(ctx, &status), name)
	switch {
	case call.IsCancelled(err):
		return err
	case err != nil:
		seen.Problem = attempt.FaultOf(err).Message
	default:
		seen.Status = &status
	}
	recorded, err := call.Control(ctx, "record the observation of edge "+name, call.RecordTimeout, control.RecordEdgeObservation, seen)
	if err != nil {
		return err
	}
	if len(recorded.Missing) > 0 {
		if err := routes.RecordPublished(ctx, routes.Publish(ctx, []string{name}, recorded.Missing), recorded.Missing); err != nil {
			return err
		}
	}
	for _, service := range recorded.Remake {
		if err := routes.Republish(ctx, fleet.PublishRequest{Service: service, Keep: true}, call.RecordTimeout); err != nil {
			return err
		}
	}
	return StartAlerts(ctx, recorded.Alerting)
}
