package e2e

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"google.golang.org/protobuf/proto"
)

// summary sums up the activities in a workflow's history.
type summary struct {
	// scheduled counts them by name, attempts adds up their attempts.
	scheduled, attempts map[string]int
	// failures are the last failures before the last attempts.
	failures map[string]string
	// size is the history's in bytes, largest that of its largest event.
	size, largest int
}

// summary sums up the history of a workflow's newest run.
func (w *world) summary(id string) summary {
	w.t.Helper()
	s := summary{scheduled: map[string]int{}, attempts: map[string]int{}, failures: map[string]string{}}
	names := map[int64]string{}
	events := w.temporal().GetWorkflowHistory(w.t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(w.t, err)
		s.size += proto.Size(event)
		s.largest = max(s.largest, proto.Size(event))
		if a := event.GetActivityTaskScheduledEventAttributes(); a != nil {
			names[event.GetEventId()] = a.GetActivityType().GetName()
			s.scheduled[a.GetActivityType().GetName()]++
		}
		if a := event.GetActivityTaskStartedEventAttributes(); a != nil {
			name := names[a.GetScheduledEventId()]
			s.attempts[name] += int(a.GetAttempt())
			s.failures[name] += a.GetLastFailure().String()
		}
	}
	return s
}

// touched reports whether an activity changed a node.
func (s summary) touched() bool {
	return slices.ContainsFunc([]string{"AllocatePorts", "RunContainer", "StopContainer", "CutOver", "Restore", "Retire"},
		func(name string) bool { return s.scheduled[name] > 0 })
}

// awaitAttempt waits until the n-th attempt of an activity of a running workflow has
// begun.
func (w *world) awaitAttempt(id, activity string, n int32) {
	w.t.Helper()
	c := w.temporal()
	require.Eventually(w.t, func() bool {
		described, err := c.DescribeWorkflowExecution(w.t.Context(), id, "")
		if err != nil {
			return false
		}
		for _, a := range described.GetPendingActivities() {
			begun := a.GetState() == enums.PENDING_ACTIVITY_STATE_STARTED
			if a.GetActivityType().GetName() == activity && (a.GetAttempt() > n || a.GetAttempt() == n && begun) {
				return true
			}
		}
		return false
	}, time.Minute, 50*time.Millisecond, "attempt %d of %s", n, activity)
}
