package tend

import (
	"math"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/workflows/call"
)

// alertTimeout is how long a destination may take for one event.
const alertTimeout = time.Minute

// alerting is the retry policy of alerts: a destination may be down for hours, and
// should not be called every ten seconds.
var alerting = temporal.RetryPolicy{
	InitialInterval:    time.Second,
	BackoffCoefficient: 2,
	MaximumInterval:    5 * time.Minute,
	MaximumAttempts:    math.MaxInt32, // as for steps that wait
}

// Alert sends a destination every event that it has not been sent yet. One runs at a
// time for each destination, so that events arrive in order.
func Alert(ctx workflow.Context, destination string) (oncontrol.DeliverResult, error) {
	step := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Hour,
		HeartbeatTimeout:    alertTimeout,
		RetryPolicy:         &alerting,
		Summary:             "alert the " + destination,
	})
	var result oncontrol.DeliverResult
	err := workflow.ExecuteActivity(step, control.Deliver, oncontrol.DeliverInput{Destination: destination}).Get(ctx, &result)
	return result, err
}

// StartAlerts has events sent to destinations. It does not wait for that.
func StartAlerts(ctx workflow.Context, destinations []string) error {
	for _, destination := range destinations {
		o := workflow.ChildWorkflowOptions{WorkflowID: alertID(destination), StaticSummary: "alert the " + destination}
		if err := call.StartDetached(ctx, o, AlertName, destination); err != nil {
			return err
		}
	}
	return nil
}
