package workflows

import (
	"errors"
	"math"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
)

// waiting is the retry policy of all that waits for something that is down:
// soon at first, since most outages are a restart, then every ten seconds.
// What must not be retried says so in its error.
var waiting = temporal.RetryPolicy{
	InitialInterval:    200 * time.Millisecond,
	BackoffCoefficient: 2,
	MaximumInterval:    10 * time.Second,
	// Time alone ends the retries. Unset, this means the same to the server,
	// and ten attempts to the SDK's test environment.
	MaximumAttempts: math.MaxInt32,
}

// once is the policy of what is not tried again.
var once = temporal.RetryPolicy{MaximumAttempts: 1}

const (
	// nodeSilence is how long a node's worker may leave a question untaken
	// before it counts as absent.
	nodeSilence = 5 * time.Second
	// heartbeat is how long an activity on a node may be silent. A worker
	// that dies is noticed by nothing else.
	heartbeat = 15 * time.Second
	// undoPatience bounds an undo step: a node that stays dead must not hold
	// the service's lock for ever.
	undoPatience = 2 * time.Minute
	// prunePatience bounds housekeeping, for which nothing should wait.
	prunePatience = time.Minute
	// shortCall bounds one attempt of a step that takes milliseconds. It is
	// also how long the death of a control worker goes unnoticed.
	shortCall = 10 * time.Second
)

// unanswered says of a step whose time was up, without a failure of its own to
// show, what it was.
func unanswered(err error, doing string) error {
	var timeout *temporal.TimeoutError
	if !errors.As(err, &timeout) || isUntaken(err) || errors.As(err, new(*temporal.ApplicationError)) {
		return err
	}
	f := activities.FaultOf(err)
	f.Message = doing + ": " + f.Message
	return f
}

// controlStep is for short steps on the control queue, waited for until left
// has passed; 0 means for as long as it takes.
func controlStep(ctx workflow.Context, summary string, left time.Duration) workflow.Context {
	return shortStep(ctx, activities.QueueControl, summary, left)
}

// surveyStep is for the first question to a node: a node without a worker is
// told at once, one whose engine is down is waited for.
func surveyStep(ctx workflow.Context, node, summary string, left time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueNode(node),
		ScheduleToStartTimeout: min(nodeSilence, left),
		StartToCloseTimeout:    shortCall,
		ScheduleToCloseTimeout: left,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
}

// readStep is for a question that only informs: it is asked once.
func readStep(ctx workflow.Context, node, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueNode(node),
		ScheduleToStartTimeout: nodeSilence,
		StartToCloseTimeout:    2 * nodeSilence,
		RetryPolicy:            &once,
		Summary:                summary,
	})
}

// nodeStep is for what changes containers: a node that died is noticed by its
// heartbeat and waited for. A cancelled step is waited for too, so that an
// undo never races what it undoes.
func nodeStep(ctx workflow.Context, node, summary string, left time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueNode(node),
		ScheduleToCloseTimeout: left,
		HeartbeatTimeout:       heartbeat,
		WaitForCancellation:    true,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
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

// buildStep is for builds and pushes: minutes of work, told by heartbeats. It
// waits for a builder that went away, as a laptop does.
func buildStep(ctx workflow.Context, builder, summary string, left time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              activities.QueueBuild(builder),
		ScheduleToCloseTimeout: left,
		HeartbeatTimeout:       heartbeat,
		WaitForCancellation:    true,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
}

// pruneStep is for housekeeping: where no worker takes it, or it does not come
// to an end, another release will see to it.
func pruneStep(ctx workflow.Context, queue, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              queue,
		ScheduleToStartTimeout: nodeSilence,
		ScheduleToCloseTimeout: prunePatience,
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            &waiting,
		Summary:                summary,
	})
}

// spotStep is for what the worker that runs the workflow does itself, which costs
// Temporal no more than a line in the history.
func spotStep(ctx workflow.Context, summary string, patience time.Duration, retries *temporal.RetryPolicy) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: min(patience, shortCall), ScheduleToCloseTimeout: patience, RetryPolicy: retries, Summary: summary,
	})
}

// spotPatience is how long a step is tried on the spot, where nobody sees it.
const spotPatience = time.Second

// promptly does a step of the control worker that takes milliseconds on the spot.
// What does not succeed at once is waited for like any other, until left has
// passed: its attempts can be seen, and their causes.
//
// Such steps that follow each other are one task of the workflow. Where the answer
// of that is lost all are done again, from the first one: each must bear that after
// the last one, too.
func promptly(ctx workflow.Context, summary string, left time.Duration, out any, activity string, args ...any) error {
	// Who is cancelled waits for it: what it has written must be known.
	spot, _ := workflow.NewDisconnectedContext(ctx)
	err := workflow.ExecuteLocalActivity(spotStep(spot, summary, spotPatience, &once), activity, args...).Get(spot, out)
	if err == nil || isFinal(err) {
		return err
	}
	return workflow.ExecuteActivity(controlStep(ctx, summary, left), activity, args...).Get(ctx, out)
}

// isFinal reports whether an activity has failed in a way that no other attempt
// would change.
func isFinal(err error) bool {
	var failed *temporal.ApplicationError
	return errors.As(err, &failed) && failed.NonRetryable()
}

// leave starts a workflow that goes on by itself; one of that id that runs
// already will do.
func leave(ctx workflow.Context, o workflow.ChildWorkflowOptions, name string, args ...any) error {
	o.ParentClosePolicy = enums.PARENT_CLOSE_POLICY_ABANDON
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, o), name, args...)
	err := child.GetChildWorkflowExecution().Get(ctx, nil)
	if errors.As(err, new(*temporal.ChildWorkflowExecutionAlreadyStartedError)) {
		return nil
	}
	return err
}
