// Package routes publishes to edges what they are to serve, and makes them drain what
// they are no longer to serve. It records what each edge has; the monitor later sends
// what one lacks. Other packages decide what a publication holds.
package routes

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// Activities are called through typed nil pointers: only their names count.
var (
	control *oncontrol.Control
	edge    *onedge.Edge
)

// EdgePublished is what became of publications at one edge.
type EdgePublished struct {
	Edge string `json:"edge"`
	// Error is why the edge has not acknowledged them: it is stale; nil if it has.
	Error *fault.Error `json:"error,omitempty"`
	// Problems are what keeps it from serving part of them, a sentence each.
	Problems []string `json:"problems,omitempty"`
}

// Publish publishes to edges side by side, and returns what became of it at each, in the
// order of the edges. One that is away delays the others by no more than seconds.
func Publish(ctx workflow.Context, edges []string, publications []fleet.Publication) []EdgePublished {
	return publishBy(ctx, edges, publications, func(ctx workflow.Context, name, summary string, in, out any) error {
		return call.AskEdge(ctx, name, summary, 0, edge.PublishRoutes, in, out)
	})
}

// reconnectTime is how long an edge that runs may leave a step untaken after Temporal
// was away: its polls pause for up to ten seconds, and so do its attempts to connect.
const reconnectTime = 30 * time.Second

// PublishPatiently is Publish for edges that may have to connect to Temporal again.
func PublishPatiently(ctx workflow.Context, edges []string, publications []fleet.Publication) []EdgePublished {
	return publishBy(ctx, edges, publications, func(ctx workflow.Context, name, summary string, in, out any) error {
		step := call.PatientEdgeStep(ctx, name, summary, reconnectTime, 0)
		return workflow.ExecuteActivity(step, edge.PublishRoutes, in).Get(ctx, out)
	})
}

func publishBy(ctx workflow.Context, edges []string, publications []fleet.Publication, ask func(ctx workflow.Context, name, summary string, in, out any) error) []EdgePublished {
	became := make([]EdgePublished, len(edges))
	g := call.NewGroup(ctx)
	for i, name := range edges {
		became[i].Edge = name
		g.Go(func(ctx workflow.Context) error {
			var result onedge.PublishRoutesResult
			in := onedge.PublishRoutesInput{Publications: publications}
			if err := call.EdgeFault(ask(ctx, name, "publish to "+name, in, &result), name); err != nil {
				became[i].Error = attempt.FaultOf(err)
				return nil // the other edges have it nonetheless
			}
			became[i].Problems = fleet.CheckedProblems(result.Problems)
			became[i].Error = unacknowledged(name, publications, result.Acks)
			return nil
		})
	}
	_ = g.Wait(ctx) // its handlers return no error
	return became
}

// unacknowledged is the fault of an edge that has answered and does not have all of the
// publications; nil if it has.
func unacknowledged(name string, publications []fleet.Publication, acks []fleet.EdgeAck) *fault.Error {
	for _, p := range publications {
		has := slices.ContainsFunc(acks, func(a fleet.EdgeAck) bool { return a.Service == p.Service && a.Version >= p.Version })
		if !has {
			return fault.New(fault.Unavailable, "edge %s has not taken over the routes of %s", name, p.Service).
				WithHint("see why: mcp edge show %s", name)
		}
	}
	return nil
}

// RecordPublished records which edges have acknowledged publications, and which have
// not. The monitor repeats what it does not record: it does not wait for Postgres for
// long. What an edge claims to have beyond the publications does not count.
func RecordPublished(ctx workflow.Context, became []EdgePublished, publications []fleet.Publication) error {
	var in oncontrol.RecordPublishedInput
	for _, b := range became {
		for _, p := range publications {
			if b.Error != nil {
				in.Misses = append(in.Misses, fleet.EdgeMiss{Edge: b.Edge, Service: p.Service, Problem: b.Error.Message})
				continue
			}
			in.Acks = append(in.Acks, fleet.EdgeAck{Edge: b.Edge, Service: p.Service, Version: p.Version, Problems: b.Problems})
		}
	}
	if len(in.Acks)+len(in.Misses) == 0 {
		return nil
	}
	// No local activity: it would keep back what else the workflow does meanwhile.
	step := call.ControlStep(ctx, "record what the edges have", call.RecordTimeout)
	return workflow.ExecuteActivity(step, control.RecordPublished, in).Get(ctx, nil)
}

// Republish makes a publication, publishes it, and records what became of it. It waits
// until left has passed for what makes it; a left of 0 means no deadline.
func Republish(ctx workflow.Context, request fleet.PublishRequest, left time.Duration) error {
	made, err := call.Control(ctx, "make the routes of "+request.Service+" anew", left, control.MakePublication, request)
	if err != nil {
		return err
	}
	publications := []fleet.Publication{made.Publication}
	return RecordPublished(ctx, Publish(ctx, made.Edges, publications), publications)
}

// Drain waits until upstreams have no request and no connection at the edges, for at
// most that long, and reports whether all edges say so.
func Drain(ctx workflow.Context, edges, upstreams []string, most time.Duration) (drained bool) {
	drained = len(edges) > 0 && len(upstreams) > 0
	if !drained || most <= 0 {
		return false
	}
	g := call.NewGroup(ctx)
	for _, name := range edges {
		g.Go(func(ctx workflow.Context) error {
			var result onedge.DrainRouteResult
			in := onedge.DrainRouteInput{Upstreams: upstreams, Drain: most}
			if err := call.AskEdge(ctx, name, "drain at "+name, most, edge.DrainRoute, in, &result); err != nil {
				workflow.GetLogger(ctx).Warn("upstreams are not drained", "edge", name, "error", err)
				drained = false
			}
			return nil
		})
	}
	_ = g.Wait(ctx) // its handlers return no error
	return drained
}
