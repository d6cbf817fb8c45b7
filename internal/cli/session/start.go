package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
)

// startPatience is how long calls that have no answer in time are repeated: a connection to
// a gateway that hangs is given up after 20 s, and another one takes over.
const startPatience = 25 * time.Second

// Start starts a workflow whose id no other one has. If the start has no answer in time, it
// is repeated: by its id, the second start is the first.
func Start(ctx context.Context, c client.Client, options client.StartWorkflowOptions, workflow string, in any) (run client.WorkflowRun, err error) {
	err = Repeated(ctx, func() error {
		run, err = c.ExecuteWorkflow(ctx, options, workflow, in)
		return err
	})
	return run, err
}

// Repeated makes a call that may be made twice, until it has an answer in time.
func Repeated(ctx context.Context, call func() error) error {
	for began := time.Now(); ; {
		if err := call(); !Unanswered(ctx, err) || time.Since(began) > startPatience {
			return err
		}
	}
}

// Unanswered reports whether a call had no answer in time: then it is not known whether it
// was carried out.
func Unanswered(ctx context.Context, err error) bool {
	return ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*serviceerror.DeadlineExceeded)))
}

// Nonce returns what makes the id of a workflow unique.
func Nonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
