package workflows

import (
	"math"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
)

// alertSilence is how long a destination may take for one event.
const alertSilence = time.Minute

// telling is the retry policy of alerts: whoever is to be told may be down for
// hours, and should not be asked every ten seconds.
var telling = temporal.RetryPolicy{
	InitialInterval:    time.Second,
	BackoffCoefficient: 2,
	MaximumInterval:    5 * time.Minute,
	MaximumAttempts:    math.MaxInt32, // as for waiting
}

// Alert tells a destination of every event that it has not been told of. One
// runs at a time for each destination, so that events arrive in order.
func Alert(ctx workflow.Context, destination string) (activities.TellResult, error) {
	step := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Hour,
		HeartbeatTimeout:    alertSilence,
		RetryPolicy:         &telling,
		Summary:             "tell the " + destination,
	})
	var result activities.TellResult
	err := workflow.ExecuteActivity(step, control.Tell, activities.TellInput{Destination: destination}).Get(ctx, &result)
	return result, err
}
