package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows/call"
)

// SetSecret records a version of a secret, or one that is sealed again.
func SetSecret(ctx workflow.Context, in secrets.Addition) error {
	return changeFailure(call.ControlSend(ctx, "record "+in.Envelope.String(), secretTimeout, control.AddSecret, in))
}

// RemoveSecret deletes all versions of a secret that the release does not use.
func RemoveSecret(ctx workflow.Context, in oncontrol.RemoveSecretInput) (*oncontrol.RemoveSecretResult, error) {
	removed, err := call.Control(ctx, "remove the secret "+in.Service+"/"+in.Name, secretTimeout, control.RemoveSecret, in)
	if err != nil {
		return nil, call.Failure(err)
	}
	return &removed, nil
}

// secretTimeout is how long a change of a secret waits for what is down: a person waits
// for it.
const secretTimeout = 20 * time.Second

// changeFailure is call.Failure of an error that may be nil.
func changeFailure(err error) error {
	if err == nil {
		return nil
	}
	return call.Failure(err)
}
