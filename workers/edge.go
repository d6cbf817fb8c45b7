package workers

import (
	"context"
	"crypto/rand"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// AdmitEdge admits an edge by its key, as soon as it has announced itself with that.
func AdmitEdge(ctx context.Context, c client.Client, edge, key string) error {
	const pause = 50 * time.Millisecond
	for {
		run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID:            tend.EdgeChangeID(edge, "admit", rand.Text()),
			TaskQueue:     activities.QueueControl,
			StaticSummary: "admit edge " + edge,
		}, tend.AdmitEdgeName, tend.AdmitEdgeInput{Edge: edge, Key: key})
		if err == nil {
			err = run.Get(ctx, nil)
		}
		if err == nil {
			return nil
		}
		if f := workflows.FaultOf(err); f.Kind != fault.NotFound {
			return f
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
