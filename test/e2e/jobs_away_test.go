package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

// Jobs are due while their node is away, and while mcp is.
func TestJobsCatchUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone(fmt.Sprintf("workspace = %q", w.workspace))
	w.worker("--control", "--listen", "off")
	node := w.worker("--node", w.node, "--listen", "off")
	w.source("v1", "")
	name := w.node + "-late"
	image := w.image(name, "v1")
	says := "cmd = [\"/app\", \"say\", \"done\", \"0\"]\nschedule = \"@hourly\"\n"
	w.define(name, w.service(name, "v1", "")+w.job("hour", image, says)+w.job("strict", image, says+"catch_up = \"10s\"")+w.job("day", image, says+"catch_up = \"26h\""))
	w.deploy(name)
	schedule := func(job string) client.ScheduleHandle {
		return w.temporal().ScheduleClient().GetHandle(t.Context(), workflows.JobID(name, job))
	}
	last := func(job string, ended bool) (run fleet.JobRun) {
		t.Helper()
		require.Eventually(t, func() bool {
			runs := w.runs(name + "/" + job)
			if len(runs) == 0 {
				return false
			}
			run = runs[0]
			return !ended || run.Outcome != ""
		}, 2*time.Minute, 200*time.Millisecond, job)
		return run
	}

	node.signal(syscall.SIGKILL)
	<-node.done
	for _, job := range []string{"hour", "strict"} { // it is due now
		require.NoError(t, schedule(job).Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	}
	missed := last("strict", true)
	require.Equal(t, fleet.RunMissed, missed.Outcome)
	require.Regexp(t, "^node "+w.node+" did not take it within [0-9]+s$", missed.Detail)
	require.Contains(t, w.mcp("events", name).stdout, "run 1 missed: "+missed.Detail)
	waits := last("hour", false)
	require.Empty(t, waits.Outcome, "its node may come back within the hour")
	require.Empty(t, w.jobContainers(name))

	w.worker("--node", w.node, "--listen", "off")
	late := last("hour", true)
	require.Equal(t, fleet.RunSucceeded, late.Outcome, late.Detail)
	require.Equal(t, waits.Number, late.Number)
	require.Equal(t, 1, late.Attempts)
	require.Equal(t, []string{"done"}, late.Log)

	// Temporal starts now what was due some hours ago.
	now := time.Now()
	for job, want := range map[string]fleet.RunOutcome{"hour": fleet.RunMissed, "day": fleet.RunSucceeded} {
		before := len(w.runs(name + "/" + job))
		require.NoError(t, schedule(job).Backfill(t.Context(), client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{
			{Start: now.Add(-4 * time.Hour), End: now.Add(-3 * time.Hour), Overlap: enums.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL},
		}}))
		require.Eventually(t, func() bool { return len(w.runs(name+"/"+job)) > before }, time.Minute, 100*time.Millisecond, job)
		run := last(job, true)
		require.Equal(t, want, run.Outcome, run.Detail)
		require.WithinRange(t, run.Due, now.Add(-4*time.Hour-time.Minute), now.Add(-3*time.Hour))
	}
	require.Regexp(t, `^was due at .*, and could not begin before `, last("hour", true).Detail)
	require.Zero(t, w.mcp("undeploy", name, "-y").code)
}
