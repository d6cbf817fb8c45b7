package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"github.com/metacircular/mcp/workflows"
)

// timeline renders a workflow's history as lines, one a step that ended and
// one for each turn that a pending step takes.
type timeline struct {
	out     io.Writer
	decode  converter.DataConverter
	mu      sync.Mutex
	started time.Time
	steps   map[int64]*step  // by the id of the event that scheduled it
	byID    map[string]*step // by activity id
}

// step is one activity, as the history tells it.
type step struct {
	summary   string
	scheduled time.Time
	told      string // the last line about it while it was pending
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
		s := &step{summary: t.text(e.GetUserMetadata().GetSummary()), scheduled: at}
		if s.summary == "" {
			s.summary = a.GetActivityType().GetName()
		}
		t.steps[e.GetEventId()], t.byID[a.GetActivityId()] = s, s
	case enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
		t.ended(e.GetActivityTaskCompletedEventAttributes().GetScheduledEventId(), at, "✓", "")
	case enums.EVENT_TYPE_ACTIVITY_TASK_FAILED:
		a := e.GetActivityTaskFailedEventAttributes()
		t.ended(a.GetScheduledEventId(), at, "✗", a.GetFailure().GetMessage())
	case enums.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
		a := e.GetActivityTaskTimedOutEventAttributes()
		cause := a.GetFailure().GetCause().GetMessage()
		if cause == "" {
			cause = "no answer in time"
		}
		t.ended(a.GetScheduledEventId(), at, "✗", cause)
	case enums.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
		t.ended(e.GetActivityTaskCanceledEventAttributes().GetScheduledEventId(), at, "✗", "cancelled")
	}
}

// ended prints the line of a step that has ended.
func (t *timeline) ended(scheduled int64, at time.Time, mark, cause string) {
	s, ok := t.steps[scheduled]
	if !ok {
		return
	}
	line := s.summary
	if took := at.Sub(s.scheduled); took >= 50*time.Millisecond {
		line += fmt.Sprintf("  (%s)", took.Round(10*time.Millisecond))
	}
	if cause != "" {
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
	told := ""
	var progress workflows.Progress
	switch {
	case p.GetAttempt() > 1 && p.GetLastFailure() != nil:
		told = fmt.Sprintf("attempt %d, after: %s", p.GetAttempt(), p.GetLastFailure().GetMessage())
	case p.GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED && time.Since(s.scheduled) > 3*time.Second:
		told = "waiting for a worker"
	case p.GetHeartbeatDetails() != nil && t.decode.FromPayloads(p.GetHeartbeatDetails(), &progress) == nil:
		told = progress.Phase + " " + progress.Detail
	}
	if told != "" && told != s.told {
		s.told = told
		t.line(time.Now(), "…", s.summary+": "+told)
	}
}

// note prints a line that is about no step.
func (t *timeline) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line(time.Now(), "…", text)
}

// moving reports whether any step has been scheduled yet.
func (t *timeline) moving() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.steps) > 0
}

// end finishes the rendering.
func (t *timeline) end() {}

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
