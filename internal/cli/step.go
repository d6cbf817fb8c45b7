package cli

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// workerPatience is how long a step may wait before it is told that it does.
const workerPatience = 3 * time.Second

// step is one activity, as the history and, until it ends, Temporal tell it.
type step struct {
	summary         string
	activity, queue string
	scheduled       time.Time
	attempt         int32        // the last one known
	failure         *fault.Error // of the last attempt that failed
	cause           string       // the same in words, on one line
	progress        string       // what the attempt under way is doing
	next            time.Time    // when the next attempt is due; zero while one is under way
	seen            time.Time    // when the attempt was first seen to wait for a worker
	abandoned       bool         // it has been waiting for one for long

	// What has been printed of it while it was pending.
	told      string // the last line
	retried   int32  // the last attempt
	toldCause string // the last cause, which is not told twice
}

// tried takes in that an attempt has begun, and why the one before it failed.
func (s *step) tried(attempt int32, last *failurepb.Failure) {
	s.attempt = attempt
	if last != nil {
		s.failure = workflows.FaultOf(temporal.GetDefaultFailureConverter().FailureToError(last))
		s.cause = strings.TrimSpace(last.GetMessage())
	}
}

// heard takes in what Temporal says of a step that is pending.
func (s *step) heard(p *workflow.PendingActivityInfo, decode converter.DataConverter) {
	waiting := p.GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED && p.GetNextAttemptScheduleTime() == nil
	if s.attempt != p.GetAttempt() || !waiting {
		s.seen = time.Now()
	}
	s.abandoned = time.Since(s.seen) >= workerPatience
	s.tried(p.GetAttempt(), p.GetLastFailure())
	s.progress, s.next = "", time.Time{}
	if p.GetNextAttemptScheduleTime() != nil {
		s.next = p.GetNextAttemptScheduleTime().AsTime()
	}
	var progress workflows.Progress
	if p.GetState() == enums.PENDING_ACTIVITY_STATE_STARTED && p.GetHeartbeatDetails() != nil &&
		decode.FromPayloads(p.GetHeartbeatDetails(), &progress) == nil {
		if strings.HasSuffix(s.summary, progress.Phase) { // "build: build" says nothing
			progress.Phase = ""
		}
		s.progress = strings.TrimSpace(progress.Phase + " " + progress.Detail)
	}
}

// news says what the step does now, for a line of its own; "" if it simply
// runs. Another attempt is told once, and its cause where that is a new one.
func (s *step) news() string {
	switch {
	case s.abandoned:
		return "waiting for a worker" + startCommand(s.queue)
	case s.attempt > s.retried && s.failure != nil:
		s.retried = s.attempt
		if s.cause == s.toldCause {
			return fmt.Sprintf("attempt %d", s.attempt)
		}
		s.toldCause = s.cause
		return fmt.Sprintf("attempt %d, after: %s", s.attempt, s.cause)
	}
	return s.progress
}

// live is all that there is to say of a pending step, for a line that is drawn
// again and again.
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
		line += ", after: " + firstLine(s.cause)
	}
	return line
}

// spent says how long a step took, and the how manieth attempt it was.
func (s *step) spent(took time.Duration) string {
	if s.attempt > 1 {
		return fmt.Sprintf("(%s, attempt %d)", took, s.attempt)
	}
	return fmt.Sprintf("(%s)", took)
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
