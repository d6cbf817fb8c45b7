package workers

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// newTemporal starts a Temporal server with mcp's search attributes.
func newTemporal(t *testing.T) client.Client {
	t.Helper()
	binary, err := filepath.Abs("../bin/temporal")
	require.NoError(t, err)
	server, err := parts.StartTemporal(t.Context(), parts.TemporalOptions{Unsafe: true, Dir: t.TempDir(), Binary: binary})
	require.NoError(t, err)
	t.Cleanup(func() { server.Stop() })
	c, err := client.Dial(client.Options{HostPort: server.Address(), Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, registerSearchAttributes(t.Context(), c, client.DefaultNamespace))
	require.NoError(t, awaitSearchAttributes(t.Context(), c, client.DefaultNamespace))
	return c
}

func job(name, schedule string) servicedef.Component {
	return servicedef.Component{
		Name: name, Node: "rift", Schedule: schedule, Overlap: servicedef.OverlapSkip, CatchUp: servicedef.Duration(time.Hour),
	}
}

func TestJobsAreSchedulesOfTemporal(t *testing.T) {
	c := newTemporal(t)
	schedules := jobSchedules{client: c}
	describe := func(name string) *client.ScheduleDescription {
		t.Helper()
		described, err := c.ScheduleClient().GetHandle(t.Context(), workflows.JobID("shop", name)).Describe(t.Context())
		require.NoError(t, err)
		return described
	}

	t.Run("Temporal takes each schedule, and is of the same mind when it is due", func(t *testing.T) {
		for i, test := range []struct{ schedule, zone string }{
			{"0 3 * * *", ""}, {"*/7 8-18 * * mon-fri", ""}, {"15,45 */6 1,15 * *", "Asia/Kathmandu"}, {"0 0 1,15 * 1", ""},
			{"0 0 * * 7", "America/New_York"}, {"0 0 * * 5-7", ""}, {"0 0 29 2 *", ""}, {"30 2 * * *", "Europe/Berlin"},
			{"30 1 * * *", "Europe/London"}, {"0 0 31 2 1", ""}, {"5/20 0-23/5 * jan-jun/2 *", "Australia/Lord_Howe"}, {"@monthly", ""},
			{"@every 90m", ""}, {"@every 1m", "Europe/Berlin"}, {"@weekly", "Pacific/Auckland"}, {"0 0 * * *", "America/Sao_Paulo"},
		} {
			component := job(fmt.Sprintf("due-%d", i), test.schedule)
			component.Timezone = test.zone
			require.NoError(t, schedules.Keep(t.Context(), oncontrol.JobSchedule{Service: "shop", Job: component}), test.schedule)
			due := describe(component.Name).Info.NextActionTimes
			require.NotEmpty(t, due, test.schedule)
			at := due[0].Add(-time.Second)
			for _, want := range due {
				at = component.Timetable().Next(at, component.Zone())
				require.True(t, want.Equal(at), "%s in %s: %s, and not %s", test.schedule, component.ZoneName(), want, at)
			}
		}
	})

	t.Run("a schedule follows its definition and is not touched otherwise", func(t *testing.T) {
		kept := oncontrol.JobSchedule{Service: "shop", Job: job("backup", "0 3 * * *")}
		for range 2 {
			require.NoError(t, schedules.Keep(t.Context(), kept))
		}
		before := describe("backup")
		require.Zero(t, before.Info.LastUpdateAt.Unix(), "the second time it was as it should be")
		require.Equal(t, enums.SCHEDULE_OVERLAP_POLICY_SKIP, before.Schedule.Policy.Overlap)

		kept.Job.Schedule, kept.Job.Overlap, kept.PausedBy = "0 4 * * *", servicedef.OverlapReplace, "ann on desk"
		kept.Job.CatchUp, kept.Job.Jitter = servicedef.Duration(time.Minute), servicedef.Duration(time.Second)
		require.NoError(t, schedules.Keep(t.Context(), kept))
		after := describe("backup")
		require.Equal(t, 4, after.Schedule.Spec.Calendars[0].Hour[0].Start)
		require.Equal(t, enums.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER, after.Schedule.Policy.Overlap)
		require.Equal(t, time.Minute, after.Schedule.Policy.CatchupWindow)
		require.Equal(t, time.Second, after.Schedule.Spec.Jitter)
		require.True(t, after.Schedule.State.Paused)
		require.Equal(t, "paused by ann on desk", after.Schedule.State.Note)

		kept.PausedBy = ""
		require.NoError(t, schedules.Keep(t.Context(), kept))
		require.False(t, describe("backup").Schedule.State.Paused)
	})

	t.Run("those of a service are listed, and dropped once", func(t *testing.T) {
		other := oncontrol.JobSchedule{Service: "blog", Job: job("feed", "@hourly")}
		require.NoError(t, schedules.Keep(t.Context(), other))
		require.NoError(t, ScheduleMonitor(t.Context(), c, time.Minute), "one that is no job's")
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			all, err := schedules.Jobs(context.Background(), "")
			require.NoError(t, err)
			require.Len(t, all, 18)
			of, err := schedules.Jobs(context.Background(), "blog")
			require.NoError(t, err)
			require.Equal(t, []oncontrol.JobKey{{Service: "blog", Job: "feed"}}, of)
		}, time.Minute, 50*time.Millisecond)
		for range 2 {
			require.NoError(t, schedules.Drop(t.Context(), oncontrol.JobKey{Service: "blog", Job: "feed"}))
		}
	})

	t.Run("a zone that Temporal does not know is invalid", func(t *testing.T) {
		component := job("mars", "@hourly")
		o := jobSchedules{}.scheduleOf(oncontrol.JobSchedule{Service: "shop", Job: component})
		o.Spec.TimeZoneName = "Mars/Phobos"
		_, err := c.ScheduleClient().Create(t.Context(), o)
		require.True(t, fault.Is(jobFault(err, "schedule it"), fault.Invalid), "%v", err)
	})
}
