package follow

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// workerTimeout is how long a step may wait for a worker before its line shows that.
const workerTimeout = 3 * time.Second

// step is one activity: what the history has of it and, until it ends, what
// Temporal reports as pending.
type step struct {
	summary         string
	activity, queue string
	scheduled       time.Time
	attempt         int32        // the last one begun
	failure         *fault.Error // of the last attempt that failed
	cause           string       // the same in words, on one line
	progress        string       // the last heartbeat of the attempt under way
	next            time.Time    // when the next attempt is due; zero while one is under way
	seen            time.Time    // when the attempt was first seen to wait for a worker
	abandoned       bool         // no worker has taken it for workerTimeout
	over            bool         // it has ended, and the history does not have it yet

	// What a task has printed lately, of so many lines, and how many of these were shown.
	lines, shown int
	last         []string
	ending       string // how a task that has not succeeded has ended

	// What has been said of it while it was pending.
	said         string // the last line
	retried      int32  // the last attempt
	printedCause string // the last cause, which is not printed twice
}

// tried records that an attempt has begun, and why the one before it failed.
func (s *step) tried(attempt int32, last *failurepb.Failure) {
	s.attempt = attempt
	if last != nil {
		s.failure = workflows.FaultOf(temporal.GetDefaultFailureConverter().FailureToError(last))
		s.cause = strings.TrimSpace(last.GetMessage())
	}
}

// update records what Temporal reports of the pending step.
func (s *step) update(p *workflow.PendingActivityInfo, decode converter.DataConverter) {
	waiting := p.GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED && p.GetNextAttemptScheduleTime() == nil
	if s.attempt != p.GetAttempt() || !waiting {
		s.seen = time.Now()
	}
	s.abandoned = time.Since(s.seen) >= workerTimeout
	s.tried(p.GetAttempt(), p.GetLastFailure())
	s.progress, s.next = "", time.Time{}
	if p.GetNextAttemptScheduleTime() != nil {
		s.next = p.GetNextAttemptScheduleTime().AsTime()
	}
	var progress workflows.Progress
	if p.GetState() == enums.PENDING_ACTIVITY_STATE_STARTED && p.GetHeartbeatDetails() != nil &&
		decode.FromPayloads(p.GetHeartbeatDetails(), &progress) == nil {
		if strings.HasSuffix(s.summary, progress.Phase) { // not "build: build"
			progress.Phase = ""
		}
		s.progress = strings.TrimSpace(progress.Phase + " " + progress.Detail)
		if progress.Output != nil {
			s.lines, s.last = progress.Output.Total, progress.Output.Lines
		}
	}
}

// news returns what a separate line shows of the step now; "" if it simply runs. A new
// attempt is shown once, its cause only if that differs from the one before.
func (s *step) news() string {
	switch {
	case s.abandoned:
		return "waiting for a worker" + startCommand(s.queue)
	case s.attempt > s.retried && s.failure != nil:
		s.retried = s.attempt
		if s.cause == s.printedCause {
			return fmt.Sprintf("attempt %d", s.attempt)
		}
		s.printedCause = s.cause
		return fmt.Sprintf("attempt %d, after: %s", s.attempt, s.cause)
	}
	if s.lines > 0 {
		return "" // its output is shown
	}
	return s.progress
}

// live returns the line of a pending step on a screen.
func (s *step) live(now time.Time) string {
	line := s.summary + "  " + s.spent(max(0, now.Sub(s.scheduled)).Round(100*time.Millisecond))
	switch {
	case s.abandoned:
		line += ": waiting for a worker" + startCommand(s.queue)
	case s.next.After(now):
		line += fmt.Sprintf(": again in %s", s.next.Sub(now).Round(time.Second))
	case s.progress != "":
		line += ": " + s.progress
	}
	if s.cause != "" {
		line += ", after: " + ui.FirstLine(s.cause)
	}
	return line
}

// spent renders how long a step took, and the attempt number after the first.
func (s *step) spent(took time.Duration) string {
	if s.attempt > 1 {
		return fmt.Sprintf("(%s, attempt %d)", took, s.attempt)
	}
	return fmt.Sprintf("(%s)", took)
}

// startCommand names the queue and the command that starts a worker for it.
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
