package reads

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows/call"
)

// AccessLogInput selects lines of the access log of a service.
type AccessLogInput struct {
	Service string `json:"service"`
	// Tail is the number of last lines wanted from each edge.
	Tail int `json:"tail"`
	// Since is how far back these may go; 0 for no limit.
	Since time.Duration `json:"since,omitempty"`
	// Where asks only for the edges: a stream of each reads its log.
	Where bool `json:"where,omitempty"`
}

// AccessLogResult is the access log of a service, by edge.
type AccessLogResult struct {
	Edges []EdgeAccessLog `json:"edges"`
}

// EdgeAccessLog is the access log of a service at one edge.
type EdgeAccessLog struct {
	Edge string `json:"edge"`
	// Lines are JSON objects, oldest first.
	Lines []string `json:"lines"`
	// Error is why the edge did not answer; nil if it did.
	Error *fault.Error `json:"error,omitempty"`
}

// AccessLog reads the access log of a service at every admitted edge.
func AccessLog(ctx workflow.Context, in AccessLogInput) (*AccessLogResult, error) {
	edges, err := call.ControlQuery(ctx, "list edges", call.ReadTimeout, control.AdmittedEdges)
	if err != nil {
		return nil, call.Failure(err)
	}
	asked := onedge.AccessLogInput{Service: in.Service, Tail: in.Tail, Bytes: maxAnswer / max(1, len(edges))}
	if in.Since > 0 {
		asked.Since = workflow.Now(ctx).Add(-in.Since)
	}
	result, g := &AccessLogResult{Edges: make([]EdgeAccessLog, len(edges))}, call.NewGroup(ctx)
	for i, name := range edges {
		log := &result.Edges[i]
		log.Edge, log.Lines = name, []string{}
		if in.Where {
			continue
		}
		step := call.EdgeStep(g.Context(), name, "read the access log of "+in.Service+" at "+name, 0)
		g.Add(workflow.ExecuteActivity(step, edge.ReadAccessLog, asked), func(f workflow.Future) error {
			var read onedge.AccessLogResult
			if err := call.EdgeFault(f.Get(ctx, &read), name); err != nil {
				log.Error = attempt.FaultOf(err)
				return nil
			}
			log.Lines = append(log.Lines, read.Lines...)
			return nil
		})
	}
	_ = g.Wait(ctx) // its handlers return no error
	return result, nil
}
