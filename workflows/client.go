package workflows

import (
	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// Queue is the task queue on which workflows run.
const Queue = activities.QueueControl

// Progress is what a pending activity reports in its heartbeats.
type Progress = activities.Progress

// SnapshotInput names a former release.
type SnapshotInput = activities.LoadSnapshotInput

// ListedContainer is a container as its node lists it.
type ListedContainer = activities.ListedContainer

// FaultOf returns the fault in the error that a client got from a workflow.
func FaultOf(err error) *fault.Error { return activities.FaultOf(err) }

// Seen is what a container's drift is derived from.
func Seen(c ListedContainer) fleet.ObservedContainer { return activities.Seen(c.ContainerInfo) }
