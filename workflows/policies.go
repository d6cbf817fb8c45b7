package workflows

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
	MaximumInterval:    10 * time.Second,
	// Time alone ends the retries. Unset, this means the same to the server,
	// and ten attempts to the SDK's test environment.
	MaximumAttempts: math.MaxInt32,
}

// once is the retry policy of steps that are not retried.
var once = temporal.RetryPolicy{MaximumAttempts: 1}

// DefaultDeadline is how long an operation or a build waits for what is down.
const DefaultDeadline = 30 * time.Minute

const (
	// nodeTimeout is how long a node's worker may leave a question untaken before
	// it counts as absent.
	nodeTimeout = 5 * time.Second
	// heartbeat is how long an activity on a node may be silent. The death of its
	// worker is noticed by nothing else.
	heartbeat = 15 * time.Second
	// undoTimeout bounds an undo step: a node that stays dead must not hold the
	// service's lock for ever.
	undoTimeout = 2 * time.Minute
	// pruneTimeout bounds housekeeping, for which nothing should wait.
	pruneTimeout = time.Minute
	// surveyTime bounds one attempt of a survey, which waits for the steps of others and
	// then for the engine: an engine that hangs is named before that.
	surveyTime = 15 * time.Second
	// stopTime is what one attempt of a stop may take beyond the container's stop
	// timeout.
	stopTime = 2 * time.Minute
	// shortCall bounds one attempt of a step that takes milliseconds. It is also
	// how long the death of a control worker goes unnoticed.
	shortCall = 10 * time.Second
	// localTimeout is how long a step is tried as a local activity, whose attempts
	// cannot be seen.
	localTimeout = time.Second
	// imageTimeout is the same for a question to an image registry.
	imageTimeout = 100 * time.Millisecond
	// recordTimeout is how long an observation waits for Postgres to be recorded; the
	// next one reports what it would have reported.
	recordTimeout = 20 * time.Second
	// readTimeout is how long a read waits for what is down: a person waits for it.
	readTimeout = 6 * time.Second
	// edgeTimeout is how long an edge may leave a step untaken before it counts as away:
	// nothing waits for it beyond that.
	edgeTimeout = 2 * time.Second
	// reconnectTime is how long an edge that runs may leave a step untaken after Temporal
	// was away: its polls pause for up to ten seconds, and so do its attempts to connect.
	reconnectTime = 30 * time.Second
	// silentTimeout is how long an edge tries to reach a node that does not answer it.
	silentTimeout = 20 * time.Second
	// edgeCall bounds a step on an edge.
	edgeCall = 10 * time.Second
	// planTimeout is for a plan, which also asks image registries.
	planTimeout = 20 * time.Second
	// lockPause is how long to wait before asking again whether a service is being
	// deployed.
	lockPause = 5 * time.Second
)

// maxEvents is how long the history of a run may become that loops; Temporal's limit is
// 51,200.
const maxEvents = 2000

// maxAnswer bounds the bytes that a read returns: Temporal's limit is 2 MB.
const maxAnswer = 1 << 20

// until is the time until a deadline, at least a second, so that a step at the
// very end is tried once.
func until(ctx workflow.Context, deadline time.Time) time.Duration {
	return max(time.Second, deadline.Sub(workflow.Now(ctx)))
}

// controlStep is for short steps on the control queue, waited for until left has
// passed; a left of 0 is without a deadline.
func controlStep(ctx workflow.Context, summary string, left time.Duration) workflow.Context {
	return shortStep(ctx, activities.QueueControl, summary, left)
}

// surveyStep is for the first question to a node: it waits where the node's engine is
// down, and fails where no worker takes it within patience.
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

// readStep is for a question that only informs, asked once.
func readStep(ctx workflow.Context, node, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueNode(node),
		ScheduleToStartTimeout: nodeTimeout,
		StartToCloseTimeout:    2 * nodeTimeout,
		RetryPolicy:            &once,
		Summary:                summary,
	})
}

// logsStep is for reading logs, which may wait for lines.
func logsStep(ctx workflow.Context, node, summary string, wait time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueNode(node),
		ScheduleToStartTimeout: nodeTimeout,
		StartToCloseTimeout:    wait + 4*nodeTimeout, // a log may be long
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            &once,
		Summary:                summary,
	})
}

// edgeStep is for a step on an edge, which is tried once: one that is away gets what it
// lacks when it is back. The step takes no longer than time beyond edgeCall.
func edgeStep(ctx workflow.Context, edge, summary string, time time.Duration) workflow.Context {
	return patientEdgeStep(ctx, edge, summary, edgeTimeout, time)
}

// patientEdgeStep is the same with the time for which the edge may leave it untaken.
func patientEdgeStep(ctx workflow.Context, edge, summary string, patience, time time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueEdge(edge),
		ScheduleToStartTimeout: patience,
		StartToCloseTimeout:    edgeCall + time,
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            &once,
		Summary:                summary,
	})
}

// nodeStep is for what changes containers: the death of a node is noticed by its
// heartbeat, and the node waited for. An attempt may take all of the time that is
// left while it makes progress, and ends where its engine hangs. A cancelled step is
// waited for too, so that an undo never races what it undoes.
func nodeStep(ctx workflow.Context, node, summary string, left time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueNode(node),
		StartToCloseTimeout:    left,
		ScheduleToCloseTimeout: left,
		HeartbeatTimeout:       heartbeat,
		WaitForCancellation:    true,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
}

// stopStep is nodeStep for one stop, which an attempt of bounded time does.
func stopStep(ctx workflow.Context, node, summary string, stopTimeout, left time.Duration) workflow.Context {
	return workflow.WithStartToCloseTimeout(nodeStep(ctx, node, summary, left), min(left, stopTimeout+stopTime))
}

// shortStep is for steps on any queue that take milliseconds and send no
// heartbeat: one attempt is short instead. A cancelled one is waited for: what
// it has written must be known, to be undone.
func shortStep(ctx workflow.Context, queue, summary string, left time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              queue,
		StartToCloseTimeout:    shortCall,
		ScheduleToCloseTimeout: left,
		WaitForCancellation:    true,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
}

// unboundedStep is for steps on a node that may be away for days: the task waits in
// the node's queue, and costs nothing, until its worker is back.
func unboundedStep(ctx workflow.Context, name, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           activities.QueueNode(name),
		StartToCloseTimeout: time.Hour,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy:         &waiting,
		Summary:             summary,
	})
}

// buildStep is for builds and pushes: minutes of work, reported by heartbeats, which
// end with its progress. It waits for a builder that went away, as a laptop does.
func buildStep(ctx workflow.Context, builder, summary string, left time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueBuild(builder),
		StartToCloseTimeout:    left,
		ScheduleToCloseTimeout: left,
		HeartbeatTimeout:       heartbeat,
		WaitForCancellation:    true,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
}

// pruneStep is for housekeeping: where no worker takes it, or it does not end, it
// is left to a later release.
func pruneStep(ctx workflow.Context, queue, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              queue,
		ScheduleToStartTimeout: nodeTimeout,
		StartToCloseTimeout:    pruneTimeout,
		ScheduleToCloseTimeout: pruneTimeout,
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
}

// localStep is for local activities: the worker that runs the workflow does them
// itself, at the cost of a line of the history. There is one attempt, which ends long
// before its workflow task would: a worker keeps the attempts of local activities in its
// memory alone, and a task that takes too long is done again from the beginning.
func localStep(ctx workflow.Context, summary string, timeout time.Duration) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: timeout, ScheduleToCloseTimeout: timeout, RetryPolicy: &once, Summary: summary,
	})
}
