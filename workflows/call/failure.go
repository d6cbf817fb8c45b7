package call

import (
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
)

// Failure is the error with which a workflow that has no result fails.
func Failure(err error) error { return FailureWith(attempt.FaultOf(err), struct{}{}) }

// FailureWith is the error with which a workflow fails. It carries the fault and the
// result, so that a client has both.
func FailureWith(f *fault.Error, result any) error {
	return temporal.NewApplicationErrorWithOptions(f.Message, string(f.Kind), temporal.ApplicationErrorOptions{
		NonRetryable: true,
		Details:      []any{*f, result},
	})
}
