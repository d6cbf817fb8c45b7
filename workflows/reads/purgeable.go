package reads

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// Purgeable counts what a purge would forget. It takes no lock.
func Purgeable(ctx workflow.Context, service string) (*fleet.Forgotten, error) {
	counted, err := call.Control(ctx, "count the records of "+service, call.ReadTimeout, control.Purge, oncontrol.PurgeInput{Service: service, Dry: true})
	if err != nil {
		return nil, call.Failure(err)
	}
	return &counted, nil
}
