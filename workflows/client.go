package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
)

// Queue is the task queue on which workflows run.
const Queue = activities.QueueControl

// Progress is what a pending activity reports in its heartbeats.
type Progress = attempt.Progress

// ResultOf decodes into out the result that a failed or cancelled workflow carries in
// its error; it returns false if there is none.
func ResultOf(err error, out any) bool {
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.HasDetails() {
		return app.Details(&fault.Error{}, out) == nil
	}
	var cancelled *temporal.CanceledError
	if errors.As(err, &cancelled) && cancelled.HasDetails() {
		return cancelled.Details(out) == nil
	}
	return false
}

// FaultOf returns the fault in the error that a client got from a workflow.
func FaultOf(err error) *fault.Error { return attempt.FaultOf(err) }
