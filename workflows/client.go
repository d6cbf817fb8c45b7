package workflows

import (
	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
)

// Queue is the task queue on which workflows run.
const Queue = activities.QueueControl

// Progress is what a pending activity reports in its heartbeats.
type Progress = attempt.Progress

// FaultOf returns the fault in the error that a client got from a workflow.
func FaultOf(err error) *fault.Error { return attempt.FaultOf(err) }
