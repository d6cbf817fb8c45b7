package workflows

import (
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
)

// readFailure is the error with which a workflow fails that has no result.
func readFailure(err error) error { return failureWith(attempt.FaultOf(err), struct{}{}) }

// failureWith is the error with which a workflow fails. It carries the fault and the
// result, so that a client has both.
func failureWith(f *fault.Error, result any) error {
	return temporal.NewApplicationErrorWithOptions(f.Message, string(f.Kind), temporal.ApplicationErrorOptions{
		NonRetryable: true,
		Details:      []any{*f, result},
	})
}
