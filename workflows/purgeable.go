package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fleet"
)

// Purgeable counts what a purge would forget. It takes no lock.
func Purgeable(ctx workflow.Context, service string) (*fleet.Forgotten, error) {
	counted, err := callControl(ctx, "count the records of "+service, readTimeout, control.Purge, oncontrol.PurgeInput{Service: service, Dry: true})
	if err != nil {
		return nil, readFailure(err)
	}
	return &counted, nil
}
