package follow

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/workflows"
)

// timeline renders a workflow's history as lines: one for each step that has ended and,
// if there is no screen, one for each change of a pending step.
type timeline struct {
	out     io.Writer
	decode  converter.DataConverter
	mu      sync.Mutex
	started time.Time
	steps   map[int64]*step  // by the id of the event that scheduled it
	byID    map[string]*step // by activity id
	pending []*step          // those that have not ended, in the order of their scheduling
	failed  *step            // the last one that failed
	// quiet leaves out the steps that have ended, and story what tasks have printed.
	quiet, story bool
	// live reports whether a screen shows the pending steps: see lines.
	live bool
	// toEnd reports whether a deploy that has succeeded is followed further.
	toEnd bool
	// released is what a deploy has recorded that succeeded and goes on; nil before.
	// pruned is set when its builder has removed images, or has failed to.
	released *workflows.Released
	pruned   bool
}

func newTimeline(out io.Writer) *timeline {
	return &timeline{out: out, decode: converter.GetDefaultDataConverter(), steps: map[int64]*step{}, byID: map[string]*step{}}
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
		t.scheduled(e, at)
	case enums.EVENT_TYPE_ACTIVITY_TASK_STARTED:
		a := e.GetActivityTaskStartedEventAttributes()
		if s, ok := t.steps[a.GetScheduledEventId()]; ok {
			s.tried(a.GetAttempt(), a.GetLastFailure())
		}
	case enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
		a := e.GetActivityTaskCompletedEventAttributes()
		t.ended(a.GetScheduledEventId(), at, t.result(a.GetScheduledEventId(), at, a.GetResult()), "")
	case enums.EVENT_TYPE_ACTIVITY_TASK_FAILED:
		a := e.GetActivityTaskFailedEventAttributes()
		t.failed = cmp.Or(t.steps[a.GetScheduledEventId()], t.failed)
		t.ended(a.GetScheduledEventId(), at, markFailed, a.GetFailure().GetMessage())
	case enums.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
		a := e.GetActivityTaskTimedOutEventAttributes()
		t.failed = cmp.Or(t.steps[a.GetScheduledEventId()], t.failed)
		t.ended(a.GetScheduledEventId(), at, markFailed, cmp.Or(a.GetFailure().GetCause().GetMessage(), "no answer in time"))
	case enums.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
		t.ended(e.GetActivityTaskCanceledEventAttributes().GetScheduledEventId(), at, markFailed, "cancelled")
	case enums.EVENT_TYPE_WORKFLOW_TASK_FAILED:
		// A control worker lacks the key of what another process has encrypted.
		if f := e.GetWorkflowTaskFailedEventAttributes().GetFailure(); codec.IsRefusal(f) {
			t.line(at, markPending, f.GetMessage())
		}
	case enums.EVENT_TYPE_MARKER_RECORDED:
		switch m := e.GetMarkerRecordedEventAttributes(); m.GetMarkerName() {
		case "LocalActivity":
			t.local(e, at)
		case "SideEffect":
			t.plan(m)
			t.release(m, at)
		}
	}
}

// plan prints the plan that a deploy has recorded, above its steps.
func (t *timeline) plan(m *history.MarkerRecordedEventAttributes) {
	var planned workflows.PlanResult
	if t.quiet || t.decode.FromPayloads(m.GetDetails()["data"], &planned) != nil || planned.Plan.Unchanged() {
		return
	}
	var text strings.Builder // one write, so that a screen redraws once
	WritePlan(&text, planned)
	_, _ = io.WriteString(t.out, text.String())
}

// release notes that a deploy has succeeded.
func (t *timeline) release(m *history.MarkerRecordedEventAttributes, at time.Time) {
	var released workflows.Released
	if t.decode.FromPayloads(m.GetDetails()["data"], &released) != nil || released.Result == nil {
		return
	}
	t.released = &released
	if t.toEnd && len(released.Result.Retiring) > 0 {
		t.line(at, markDone, "released; waiting until the former containers are gone")
	}
}

// scheduled begins a step; in a history that is read again, it replaces the step.
func (t *timeline) scheduled(e *history.HistoryEvent, at time.Time) {
	a := e.GetActivityTaskScheduledEventAttributes()
	if isAudit(a.GetActivityType().GetName()) {
		return
	}
	s := &step{activity: a.GetActivityType().GetName(), queue: a.GetTaskQueue().GetName(), scheduled: at}
	s.summary = cmp.Or(t.text(e.GetUserMetadata().GetSummary()), s.activity)
	if before, ok := t.byID[a.GetActivityId()]; ok {
		s.failure = before.failure
		t.drop(before)
	}
	t.steps[e.GetEventId()], t.byID[a.GetActivityId()] = s, s
	t.pending = append(t.pending, s)
}

// local prints the line of a local activity, which has no event before it has ended.
// One that failed is scheduled as an activity like any other, unless its failure is
// not retryable.
func (t *timeline) local(e *history.HistoryEvent, at time.Time) {
	m := e.GetMarkerRecordedEventAttributes()
	failure := m.GetFailure()
	if failure != nil && !failure.GetApplicationFailureInfo().GetNonRetryable() {
		return
	}
	var data struct{ ActivityType string }
	_ = t.decode.FromPayloads(m.GetDetails()["data"], &data) // the summary stands in for it
	if isAudit(data.ActivityType) {
		return
	}
	s := &step{activity: data.ActivityType, queue: workflows.Queue, scheduled: at}
	s.summary = cmp.Or(t.text(e.GetUserMetadata().GetSummary()), s.activity)
	t.steps[e.GetEventId()] = s
	if failure == nil {
		t.ended(e.GetEventId(), at, markDone, "")
		return
	}
	t.failed = s
	t.ended(e.GetEventId(), at, markFailed, failure.GetMessage())
}

// isAudit reports whether an activity adds what is done to the audit, which is not a
// step.
func isAudit(activity string) bool { return activity == workflows.RecordAuditName }

// drop removes a step from the pending ones.
func (t *timeline) drop(s *step) {
	t.pending = slices.DeleteFunc(t.pending, func(other *step) bool { return other == s })
}

// ended prints the line of a step that has ended.
func (t *timeline) ended(scheduled int64, at time.Time, mark, cause string) {
	s, ok := t.steps[scheduled]
	if !ok {
		return
	}
	t.drop(s)
	t.pruned = t.pruned || s.activity == "PruneImages" && strings.HasPrefix(s.queue, "build-")
	if t.quiet {
		return
	}
	line := s.summary
	if took := at.Sub(s.scheduled); took >= 50*time.Millisecond || s.attempt > 1 {
		line += "  " + s.spent(took.Round(10*time.Millisecond))
	}
	cause = cmp.Or(strings.TrimSpace(cause), s.ending)
	if mark == markDone && s.cause != "" && s.cause != s.printedCause {
		cause = "after: " + s.cause
	}
	if cause != "" {
		line += ": " + cause
	}
	t.line(at, mark, line)
}

// update records the state of an activity that has not ended and, if no screen shows it,
// prints what has changed.
func (t *timeline) update(p *workflow.PendingActivityInfo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.byID[p.GetActivityId()]
	if !ok {
		return
	}
	s.update(p, t.decode)
	t.output(s, time.Now(), s.lines, s.last)
	if t.live {
		return
	}
	if news := s.news(); news != "" && news != s.said {
		s.said = news
		t.line(time.Now(), markPending, s.summary+": "+news)
	}
}

// underWay returns the ids of the pending steps.
func (t *timeline) underWay() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []string
	for id, s := range t.byID {
		if slices.Contains(t.pending, s) {
			ids = append(ids, id)
		}
	}
	return ids
}

// settle hides those of the given steps that Temporal no longer reports as pending.
// They have ended; while the workflow's own task is under way, Temporal keeps back the
// events that say so.
func (t *timeline) settle(ids []string, pending []*workflow.PendingActivityInfo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		t.byID[id].over = !slices.ContainsFunc(pending, func(p *workflow.PendingActivityInfo) bool { return p.GetActivityId() == id })
	}
}

// lines returns the pending steps, a line each.
func (t *timeline) lines() []ui.Styled {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	frame := spinner[now.UnixMilli()/ui.RedrawEvery.Milliseconds()%int64(len(spinner))]
	lines := make([]ui.Styled, 0, len(t.pending))
	for _, s := range t.pending {
		if !s.over {
			lines = append(lines, t.styled(now, frame, s.live(now)))
		}
	}
	return lines
}

// note prints a line that belongs to no step.
func (t *timeline) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line(time.Now(), markPending, text)
}

func (t *timeline) line(at time.Time, mark, text string) {
	if t.live {
		_ = ui.WriteStyled(t.out, t.styled(at, mark, text)+"\n")
		return
	}
	_, _ = io.WriteString(t.out, t.since(at)+" "+mark+" "+text+"\n")
}

// The marks that a line begins with, and the spinner of a live one.
const (
	markDone    = "✓"
	markFailed  = "✗"
	markPending = "…"
)

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// colours are those of the marks on a screen; the spinner has the terminal's default.
var colours = map[string]ansi.Color{markDone: ansi.Green, markFailed: ansi.Red, markPending: ansi.Yellow}

// styled renders a line for a screen: the time since the workflow started, mark and
// text.
func (t *timeline) styled(at time.Time, mark, text string) ui.Styled {
	shown := ui.Plain(mark)
	if colour, ok := colours[mark]; ok {
		shown = ui.Coloured(mark, colour)
	}
	return ui.Faint(t.since(at)) + " " + shown + " " + ui.Plain(text)
}

// since renders how long after the start of the workflow a time is.
func (t *timeline) since(at time.Time) string {
	elapsed := time.Duration(0)
	if !t.started.IsZero() {
		elapsed = max(0, at.Sub(t.started))
	}
	return fmt.Sprintf("%6.2fs", elapsed.Seconds())
}

// text decodes a payload that holds a string; "" if it does not.
func (t *timeline) text(p *common.Payload) string {
	var s string
	if p == nil || t.decode.FromPayload(p, &s) != nil {
		return ""
	}
	return s
}
