package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/secrets"
)

// SetSecret records a version of a secret, or one that is sealed again.
func SetSecret(ctx workflow.Context, in secrets.Addition) error {
	return changeFailure(sendControl(ctx, "record "+in.Envelope.String(), secretTimeout, control.AddSecret, in))
}

// RemoveSecret deletes all versions of a secret that the release does not use.
func RemoveSecret(ctx workflow.Context, in oncontrol.RemoveSecretInput) (*oncontrol.RemoveSecretResult, error) {
	removed, err := callControl(ctx, "remove the secret "+in.Service+"/"+in.Name, secretTimeout, control.RemoveSecret, in)
	if err != nil {
		return nil, readFailure(err)
	}
	return &removed, nil
}

// secretTimeout is how long a change of a secret waits for what is down: a person waits
// for it.
const secretTimeout = 20 * time.Second

// changeFailure is readFailure of an error that may be nil.
func changeFailure(err error) error {
	if err == nil {
		return nil
	}
	return readFailure(err)
}
