package call

import (
	"math"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
)

// waiting is the retry policy of steps that wait for what is down: soon at first,
// because most outages are a restart, then every ten seconds. An error that must
// not be retried is marked as such.
var waiting = temporal.RetryPolicy{
	InitialInterval:    200 * time.Millisecond,
	BackoffCoefficient: 2,
	MaximumInterval:    MaxPause,
	// Time alone ends the retries. Unset, this means the same to the server,
	// and ten attempts to the SDK's test environment.
	MaximumAttempts: math.MaxInt32,
}

// MaxPause is the longest pause between two attempts at a step that waits.
const MaxPause = 10 * time.Second

// once is the retry policy of steps that are not retried.
var once = temporal.RetryPolicy{MaximumAttempts: 1}

const (
	// NodeTimeout is how long a node's worker may leave a question untaken before
	// it counts as absent.
	NodeTimeout = 5 * time.Second
	// heartbeat is how long an activity on a node may be silent. Nothing else shows the death
	// of its worker.
	heartbeat = 15 * time.Second
	// pruneTimeout bounds housekeeping, for which nothing should wait.
	pruneTimeout = time.Minute
	// surveyTime bounds one attempt of a survey, which waits for the steps of others and
	// then for the engine: an engine that hangs is named before that.
	surveyTime = 15 * time.Second
	// StopTime is what one attempt of a stop may take beyond the container's stop
	// timeout.
	StopTime = 2 * time.Minute
	// ShortCall bounds one attempt of a step that takes milliseconds. It is also
	// how long the death of a control worker goes unnoticed.
	ShortCall = 10 * time.Second
	// localTimeout is how long a step is tried as a local activity, whose attempts
	// cannot be seen.
	localTimeout = time.Second
	// RecordTimeout is how long an observation waits for Postgres to be recorded; the
	// next one reports what it would have reported.
	RecordTimeout = 20 * time.Second
	// ReadTimeout is how long a read waits for what is down: a person waits for it.
	ReadTimeout = 6 * time.Second
	// edgeTimeout is how long an edge may leave a step untaken before it counts as away:
	// nothing waits for it beyond that.
	edgeTimeout = 2 * time.Second
	// edgeCall bounds a step on an edge.
	edgeCall = 10 * time.Second
)

// Until is the time until a deadline, at least a second, so that a step at the
// very end is tried once.
func Until(ctx workflow.Context, deadline time.Time) time.Duration {
	return max(time.Second, deadline.Sub(workflow.Now(ctx)))
}

// ControlStep is for short steps on the control queue, waited for until left has
// passed; a left of 0 means no deadline.
func ControlStep(ctx workflow.Context, summary string, left time.Duration) workflow.Context {
	return ShortStep(ctx, activities.QueueControl, summary, left)
}

// LongControlStep is for a step on the control queue that may take all of the time that is
// left while it makes progress.
func LongControlStep(ctx workflow.Context, summary string, left time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueControl,
		StartToCloseTimeout:    left,
		ScheduleToCloseTimeout: left,
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
}

// surveyStep is for the first question to a node: it waits if the node's engine is down,
// and fails if no worker takes it within patience.
func surveyStep(ctx workflow.Context, node, summary string, patience, left time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueNode(node),
		ScheduleToStartTimeout: min(patience, left),
		StartToCloseTimeout:    surveyTime,
		ScheduleToCloseTimeout: left,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
}

// ReadStep is for a question that only informs, asked once.
func ReadStep(ctx workflow.Context, node, summary string) workflow.Context {
	return question(ctx, activities.QueueNode(node), summary)
}

// BuilderStep is ReadStep for a builder: the step waits for no build.
func BuilderStep(ctx workflow.Context, builder, summary string) workflow.Context {
	return question(ctx, activities.QueueBuildLog(builder), summary)
}

func question(ctx workflow.Context, queue, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              queue,
		ScheduleToStartTimeout: NodeTimeout,
		StartToCloseTimeout:    2 * NodeTimeout,
		RetryPolicy:            &once,
		Summary:                summary,
	})
}

// LogsStep is for reading logs, which may wait for lines.
func LogsStep(ctx workflow.Context, node, summary string, wait time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueNode(node),
		ScheduleToStartTimeout: NodeTimeout,
		StartToCloseTimeout:    wait + 4*NodeTimeout, // a log may be long
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            &once,
		Summary:                summary,
	})
}

// ExecStep is for a command in a container, which must not run twice.
func ExecStep(ctx workflow.Context, node, summary string, timeout time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueNode(node),
		ScheduleToStartTimeout: NodeTimeout,
		StartToCloseTimeout:    timeout + NodeTimeout,
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            &once,
		Summary:                summary,
	})
}

// EdgeStep is for a step on an edge, which is tried once: one that is away gets what it
// lacks when it is back. The step takes no longer than time beyond that of a short one.
func EdgeStep(ctx workflow.Context, edge, summary string, time time.Duration) workflow.Context {
	return PatientEdgeStep(ctx, edge, summary, edgeTimeout, time)
}

// PatientEdgeStep is EdgeStep with the time for which the edge may leave it untaken.
func PatientEdgeStep(ctx workflow.Context, edge, summary string, patience, time time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueEdge(edge),
		ScheduleToStartTimeout: patience,
		StartToCloseTimeout:    edgeCall + time,
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            &once,
		Summary:                summary,
	})
}

// NodeStep is for what changes containers: the death of a node is noticed by its
// heartbeat, and the node is waited for. An attempt may take all of the time that is left
// while it makes progress, and ends if its engine hangs. A cancelled step is
// waited for too, so that an undo never races what it undoes.
func NodeStep(ctx workflow.Context, node, summary string, left time.Duration) workflow.Context {
	return work(ctx, activities.QueueNode(node), summary, left)
}

// BuildStep is NodeStep for builds and pushes: it waits for a builder that went away, as
// a laptop does.
func BuildStep(ctx workflow.Context, builder, summary string, left time.Duration) workflow.Context {
	return work(ctx, activities.QueueBuild(builder), summary, left)
}

func work(ctx workflow.Context, queue, summary string, left time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              queue,
		StartToCloseTimeout:    left,
		ScheduleToCloseTimeout: left,
		HeartbeatTimeout:       heartbeat,
		WaitForCancellation:    true,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
}

// StopStep is NodeStep for one stop, which an attempt of bounded time does.
func StopStep(ctx workflow.Context, node, summary string, stopTimeout, left time.Duration) workflow.Context {
	return workflow.WithStartToCloseTimeout(NodeStep(ctx, node, summary, left), min(left, stopTimeout+StopTime))
}

// ShortStep is for steps on any queue that take milliseconds and send no
// heartbeat: one attempt is short instead. A cancelled one is waited for: what
// it has written must be known, to be undone.
func ShortStep(ctx workflow.Context, queue, summary string, left time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              queue,
		StartToCloseTimeout:    ShortCall,
		ScheduleToCloseTimeout: left,
		WaitForCancellation:    true,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
}

// UnboundedStep is for steps on a node that may be away for days: the task waits in
// the node's queue, and costs nothing, until its worker is back.
func UnboundedStep(ctx workflow.Context, name, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           activities.QueueNode(name),
		StartToCloseTimeout: time.Hour,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy:         &waiting,
		Summary:             summary,
	})
}

// PruneStep is for housekeeping: if no worker takes it, or it does not end, it
// is left to a later release.
func PruneStep(ctx workflow.Context, queue, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              queue,
		ScheduleToStartTimeout: NodeTimeout,
		StartToCloseTimeout:    pruneTimeout,
		ScheduleToCloseTimeout: pruneTimeout,
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
}

// localStep is for local activities: the worker that runs the workflow does them
// itself, at the cost of a line of the history. There is one attempt, which ends long
// before its workflow task would: a worker keeps the attempts of local activities only in
// its memory, and a task that takes too long is done again from the beginning.
func localStep(ctx workflow.Context, summary string, timeout time.Duration) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: timeout, ScheduleToCloseTimeout: timeout, RetryPolicy: &once, Summary: summary,
	})
}
