package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// workerPatience is how long a step may wait before it is told that it does.
const workerPatience = 3 * time.Second

// timeline renders a workflow's history as lines, one a step that ended and
// one for each turn that a pending step takes.
type timeline struct {
	out     io.Writer
	decode  converter.DataConverter
	mu      sync.Mutex
	started time.Time
	steps   map[int64]*step  // by the id of the event that scheduled it
	byID    map[string]*step // by activity id
	failed  *step            // the last one that failed
	// quiet leaves out the steps that end: only what is waited for is told.
	quiet bool
}

// step is one activity, as the history tells it.
type step struct {
	summary         string
	activity, queue string
	scheduled       time.Time
	failure         *fault.Error // of the last attempt that failed
	told            string       // the last line about it while it was pending
	retried         int32        // the last attempt told
	cause           string       // the last one told, which is not told twice
	attempt         int32        // the last one seen
	seen            time.Time    // when that was first seen to wait
}

func newTimeline(out io.Writer, decode converter.DataConverter) *timeline {
	return &timeline{out: out, decode: decode, steps: map[int64]*step{}, byID: map[string]*step{}}
}

// event renders one event of the history.
func (t *timeline) event(e *history.HistoryEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := e.GetEventTime().AsTime()
	switch e.GetEventType() {
	case enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
		t.started = at
	case enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
		a := e.GetActivityTaskScheduledEventAttributes()
		s := &step{activity: a.GetActivityType().GetName(), queue: a.GetTaskQueue().GetName(), scheduled: at}
		s.summary = cmp.Or(t.text(e.GetUserMetadata().GetSummary()), s.activity)
		if before, ok := t.byID[a.GetActivityId()]; ok {
			s.failure = before.failure // the history is read again
		}
		t.steps[e.GetEventId()], t.byID[a.GetActivityId()] = s, s
	case enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
		t.ended(e.GetActivityTaskCompletedEventAttributes().GetScheduledEventId(), at, "✓", "")
	case enums.EVENT_TYPE_ACTIVITY_TASK_FAILED:
		a := e.GetActivityTaskFailedEventAttributes()
		t.failed = t.steps[a.GetScheduledEventId()]
		t.ended(a.GetScheduledEventId(), at, "✗", a.GetFailure().GetMessage())
	case enums.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
		a := e.GetActivityTaskTimedOutEventAttributes()
		t.failed = t.steps[a.GetScheduledEventId()]
		t.ended(a.GetScheduledEventId(), at, "✗", cmp.Or(a.GetFailure().GetCause().GetMessage(), "no answer in time"))
	case enums.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
		t.ended(e.GetActivityTaskCanceledEventAttributes().GetScheduledEventId(), at, "✗", "cancelled")
	}
}

// ended prints the line of a step that has ended.
func (t *timeline) ended(scheduled int64, at time.Time, mark, cause string) {
	s, ok := t.steps[scheduled]
	if !ok || t.quiet {
		return
	}
	line := s.summary
	if took := at.Sub(s.scheduled); took >= 50*time.Millisecond {
		line += fmt.Sprintf("  (%s)", took.Round(10*time.Millisecond))
	}
	if cause = strings.TrimSpace(cause); cause != "" {
		line += ": " + cause
	}
	t.line(at, mark, line)
}

// pending tells of a step that has not ended, when there is something new.
func (t *timeline) pending(p *workflow.PendingActivityInfo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.byID[p.GetActivityId()]
	if !ok {
		return
	}
	if told := t.turn(s, p); told != "" && told != s.told {
		s.told = told
		t.line(time.Now(), "…", s.summary+": "+told)
	}
}

// turn says what a pending step does now; "" if it simply runs.
func (t *timeline) turn(s *step, p *workflow.PendingActivityInfo) string {
	if s.attempt != p.GetAttempt() || p.GetState() != enums.PENDING_ACTIVITY_STATE_SCHEDULED || p.GetNextAttemptScheduleTime() != nil {
		s.attempt, s.seen = p.GetAttempt(), time.Now()
	}
	var progress workflows.Progress
	switch {
	case time.Since(s.seen) >= workerPatience:
		return "waiting for a worker" + startCommand(s.queue)
	case p.GetAttempt() > s.retried && p.GetLastFailure() != nil:
		return s.retry(p)
	case p.GetState() == enums.PENDING_ACTIVITY_STATE_STARTED && p.GetHeartbeatDetails() != nil && t.decode.FromPayloads(p.GetHeartbeatDetails(), &progress) == nil:
		if strings.HasSuffix(s.summary, progress.Phase) { // "build: build" says nothing
			return strings.TrimSpace(progress.Detail)
		}
		return strings.TrimSpace(progress.Phase + " " + progress.Detail)
	}
	return ""
}

// retry tells of another attempt, and of the cause where that is a new one.
func (s *step) retry(p *workflow.PendingActivityInfo) string {
	s.failure = workflows.FaultOf(temporal.GetDefaultFailureConverter().FailureToError(p.GetLastFailure()))
	cause := strings.TrimSpace(p.GetLastFailure().GetMessage())
	s.retried = p.GetAttempt()
	if cause == s.cause {
		return fmt.Sprintf("attempt %d", s.retried)
	}
	s.cause = cause
	return fmt.Sprintf("attempt %d, after: %s", s.retried, cause)
}

// startCommand is what starts the worker that a queue waits for.
func startCommand(queue string) string {
	role, name, _ := strings.Cut(queue, "-")
	switch {
	case queue == workflows.Queue:
		return ": mcp worker --control"
	case role == "build":
		return " of " + queue + ": mcp worker --builder " + name + " --workspace DIR"
	case role == "node":
		return " of " + queue + ": mcp worker --node " + name
	}
	return ""
}

// note prints a line that is about no step.
func (t *timeline) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line(time.Now(), "…", text)
}

func (t *timeline) line(at time.Time, mark, text string) {
	elapsed := time.Duration(0)
	if !t.started.IsZero() {
		elapsed = max(0, at.Sub(t.started))
	}
	_, _ = fmt.Fprintf(t.out, "%6.2fs %s %s\n", elapsed.Seconds(), mark, text)
}

// text decodes a payload that holds a string; "" if it does not.
func (t *timeline) text(p *common.Payload) string {
	var s string
	if p == nil || t.decode.FromPayload(p, &s) != nil {
		return ""
	}
	return s
}
