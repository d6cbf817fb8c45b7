package call

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
)

// NodeFault names the node in the fault of a step there, and adds a hint if no worker
// took the step.
func NodeFault(err error, name string) error {
	if err == nil || IsCancelled(err) {
		return err
	}
	f := attempt.FaultOf(err)
	if IsUntaken(err) {
		f = noWorker(name, "")
	}
	if f.Node == "" {
		f.Node = name
	}
	return f
}

// noWorker is the fault of a node whose queue no worker polls.
func noWorker(name, more string) *fault.Error {
	f := fault.New(fault.Unavailable, "node %s: no worker polls %s%s", name, activities.QueueNode(name), more).
		WithHint("start one on that host: mcp worker --node %s", name)
	f.Node = name
	return f
}

// absence is the fault of a node that has been away for too long.
func absence(name string, away time.Duration) error {
	return noWorker(name, fmt.Sprintf("; it was last seen %s ago", away.Round(time.Second)))
}

// TimeoutFault names the step in the fault of one whose time was up without a
// failure that names it.
func TimeoutFault(err error, doing string) error {
	var timeout *temporal.TimeoutError
	if !errors.As(err, &timeout) || IsUntaken(err) || errors.As(err, new(*temporal.ApplicationError)) {
		return err
	}
	f := attempt.FaultOf(err)
	f.Message = doing + ": " + f.Message
	return f
}

// isFinal reports whether an activity failed in a way that another attempt would
// not change.
func isFinal(err error) bool {
	var failed *temporal.ApplicationError
	return errors.As(err, &failed) && failed.NonRetryable()
}

// IsUntaken reports whether an activity ended because no worker took it.
func IsUntaken(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) && timeout.TimeoutType() == enums.TIMEOUT_TYPE_SCHEDULE_TO_START
}

// IsConflict reports whether a step on a node was refused because a newer
// deployment may have begun there.
func IsConflict(err error) bool { return err != nil && attempt.FaultOf(err).Kind == fault.Conflict }

// IsCancelled reports whether a step or its workflow was cancelled.
func IsCancelled(err error) bool { return temporal.IsCanceledError(err) }

// BuilderFault adds a hint to the fault of a step that no builder took.
func BuilderFault(err error, name string) error {
	if !IsUntaken(err) || IsCancelled(err) {
		return err
	}
	return fault.New(fault.Unavailable, "builder %s: no worker polls %s", name, activities.QueueBuild(name)).
		WithHint("start one where the sources are: mcp worker --builder %s --workspace DIR", name)
}

// EdgeFault is the fault of a step on an edge.
func EdgeFault(err error, name string) error {
	if err == nil || IsCancelled(err) {
		return err
	}
	if IsUntaken(err) {
		return fault.New(fault.Unavailable, "edge %s is away: nothing polls %s", name, activities.QueueEdge(name)).
			WithHint("start it on its host: mcp-edge; or forget it: mcp edge remove %s", name)
	}
	f := *attempt.FaultOf(err)
	f.Message = "edge " + name + ": " + f.Message
	return &f
}
