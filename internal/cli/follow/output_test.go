package follow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

func (d *rendering) prints(activity string, all int, last ...string) {
	details, err := converter.GetDefaultDataConverter().ToPayloads(workflows.Progress{
		Phase: "run", Detail: last[len(last)-1], Output: &attempt.TaskOutput{Total: all, Lines: last},
	})
	require.NoError(d.t, err)
	d.view.update(&workflow.PendingActivityInfo{
		ActivityId: activity, State: enums.PENDING_ACTIVITY_STATE_STARTED, Attempt: 1, HeartbeatDetails: details,
	})
}

func (d *rendering) ends(id, scheduled int64, after time.Duration, result fleet.TaskResult) {
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(result)
	require.NoError(d.t, err)
	d.event(id, after, enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, &history.HistoryEvent{
		Attributes: &history.HistoryEvent_ActivityTaskCompletedEventAttributes{
			ActivityTaskCompletedEventAttributes: &history.ActivityTaskCompletedEventAttributes{ScheduledEventId: scheduled, Result: payloads},
		},
	})
}

func TestTheOutputOfAStepIsShownOnce(t *testing.T) {
	d := newRendering(t, false)
	d.schedule(5, time.Second, "AwaitTask", "node-rift", "migrate: run")
	d.prints("migrate: run", 2, "one", "two")
	d.prints("migrate: run", 2, "one", "two")
	d.prints("migrate: run", 6, "five", "six")
	d.ends(6, 5, 3*time.Second, fleet.TaskResult{State: fleet.TaskFailed, Detail: "exited with code 3", Lines: 7, Log: []string{"five", "six", "seven"}})
	require.Regexp(t, `^ *\S+ \| one
 *\S+ \| two
 *\S+ \| … 2 lines not shown
 *\S+ \| five
 *\S+ \| six
 *3.00s \| seven
 *3.00s ✗ migrate: run  \(2s\): exited with code 3
$`, d.out.String())
}

func TestAPastDeploymentShowsTheOutputElsewhere(t *testing.T) {
	d := newRendering(t, false)
	d.view.story = true
	d.schedule(5, time.Second, "AwaitTask", "node-rift", "migrate: run")
	d.ends(6, 5, 3*time.Second, fleet.TaskResult{State: fleet.TaskSucceeded, Lines: 1, Log: []string{"one"}})
	require.Equal(t, "  3.00s ✓ migrate: run  (2s)\n", d.out.String())
}
