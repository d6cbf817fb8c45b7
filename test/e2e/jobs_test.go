package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/test/printed"
	"github.com/metacircular/mcp/workflows"
)

// listedJob is the part of mcp jobs --json that these tests read.
type listedJob struct {
	Service, Job, State string
	Next, Succeeded     time.Time
	Running, Last       *fleet.JobRun
}

// jobs are those of a service, by name.
func (w *world) jobs(service string) map[string]listedJob {
	w.t.Helper()
	r := w.mcp("jobs", service, "--json")
	byName := map[string]listedJob{}
	if r.code != 0 {
		return byName
	}
	var list []listedJob
	r.decode(w.t, &list)
	for _, j := range list {
		byName[j.Job] = j
	}
	return byName
}

// runs are those of a job, newest first.
func (w *world) runs(job string) []fleet.JobRun {
	w.t.Helper()
	r := w.mcp("job", "history", job, "--json")
	require.Zero(w.t, r.code, r)
	var runs []fleet.JobRun
	r.decode(w.t, &runs)
	return runs
}

// schedule describes the schedule of a job; nil if Temporal has none.
func (w *world) schedule(service, job string) *client.ScheduleDescription {
	w.t.Helper()
	described, err := w.temporal().ScheduleClient().GetHandle(w.t.Context(), workflows.JobID(service, job)).Describe(w.t.Context())
	if errors.As(err, new(*serviceerror.NotFound)) {
		return nil
	}
	require.NoError(w.t, err)
	return described
}

// job is a job of a definition, with more lines.
func (w *world) job(name, image, more string) string {
	return fmt.Sprintf("\n[[components]]\nname = %q\nimage = %q\n%s\n", name, image, more)
}

// jobContainers are the ids of the containers of a service's jobs.
func (w *world) jobContainers(service string) []string {
	w.t.Helper()
	return strings.Fields(w.podman("ps", "--all", "--quiet", "--filter", "label=mcp.service="+service, "--filter", "label=mcp.task.kind=job"))
}

func TestJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	image := w.image("nightly", "v1")
	const name = "nightly"
	define := func(schedule, more string) {
		w.define(name, w.service(name, "v1", more)+
			w.job("backup", image, `cmd = ["/app", "say", "backed up", "0"]`+"\nschedule = \""+schedule+"\"")+
			w.job("failing", image, `cmd = ["/app", "say", "no disk", "3"]`+"\nschedule = \"manual\"\nretries = 1")+
			w.job("long", image, "env = { MODE = \"deaf\" }\nschedule = \"0 12 29 2 *\"\nstop_timeout = \"5s\""))
	}
	define("30 3 29 2 *", "") // a time that no test meets by chance

	r := w.mcp("plan", name)
	require.Zero(t, r.code, r)
	require.Regexp(t, `\+ backup +local +create\n +runs at 30 3 29 2 \*, next at \d{4}-`, r.stdout)
	require.Regexp(t, `\+ failing +local +create\n +runs when asked`, r.stdout)
	result := w.deploy(name)
	require.Len(t, result.Components, 1, "a job is no container")
	require.Len(t, result.Jobs, 3)
	require.Empty(t, w.jobContainers(name), "a deploy starts no job")
	require.Equal(t, workflows.Unchanged, w.deploy(name).Outcome)

	t.Run("each has a schedule and is listed", func(t *testing.T) {
		jobs := w.jobs(name)
		require.Len(t, jobs, 3)
		require.Equal(t, "active", jobs["backup"].State)
		due := w.schedule(name, "backup").Info.NextActionTimes[0]
		require.True(t, due.Equal(jobs["backup"].Next), "%s, %s", due, jobs["backup"].Next)
		require.Equal(t, "manual", jobs["failing"].State)
		require.Nil(t, w.schedule(name, "failing"))
		r := w.mcp("jobs")
		require.Regexp(t, `(?m)^nightly/backup +local +30 3 29 2 \* +\d{4}`, r.stdout)
	})

	t.Run("a run shows its output and exits with the code of its program", func(t *testing.T) {
		r := w.mcp("run", name+"/backup")
		require.Zero(t, r.code, r)
		require.Equal(t, "backed up\n", r.stdout)
		require.Contains(t, r.stderr, "run 1 of nightly/backup succeeded")
		r = w.mcp("run", name+"/backup", "--", "/app", "say", "another", "7")
		require.Equal(t, 7, r.code, r)
		require.Equal(t, "another\n", r.stdout)
		r = w.mcp("run", name+"/backup", "--json", "--", "/app", "print", "1", "0")
		require.Zero(t, r.code, r)
		left := 0
		if found := regexp.MustCompile(`(\d+) lines are left out here`).FindStringSubmatch(r.stderr); found != nil {
			left, _ = strconv.Atoi(found[1])
		}
		require.Equal(t, 1024, left+strings.Count(r.stderr, "xxxx\n"), "no line is lost without a word")
		var run fleet.JobRun
		r.decode(t, &run)
		require.Equal(t, fleet.RunSucceeded, run.Outcome)
		require.Equal(t, 1024, run.Lines)
		require.Eventually(t, func() bool { return len(w.jobContainers(name)) == 0 }, time.Minute, 50*time.Millisecond)
		r = w.mcp("job", "logs", name+"/backup", "1")
		require.Zero(t, r.code, r)
		require.Equal(t, "backed up\n", r.stdout)
		r = w.mcp("job", "logs", name+"/backup", "-n", "2")
		require.Equal(t, 2, strings.Count(r.stdout, "\n"), "the newest")
	})

	t.Run("a failure is tried again, and is an event", func(t *testing.T) {
		r := w.mcp("run", name+"/failing")
		require.Equal(t, 3, r.code, r)
		require.Equal(t, "no disk\nno disk\n", r.stdout, "one retry")
		runs := w.runs(name + "/failing")
		require.Equal(t, 2, runs[0].Attempts)
		require.Equal(t, []string{"no disk"}, runs[0].Log)
		require.Contains(t, w.mcp("events", name).stdout, "run 1 failed: exited with code 3: no disk")
	})

	t.Run("the schedule starts runs", func(t *testing.T) {
		before := len(w.runs(name + "/backup"))
		require.NoError(t, w.temporal().ScheduleClient().GetHandle(t.Context(), workflows.JobID(name, "backup")).
			Trigger(t.Context(), client.ScheduleTriggerOptions{}))
		require.Eventually(t, func() bool {
			runs := w.runs(name + "/backup")
			return len(runs) > before && runs[0].Outcome == fleet.RunSucceeded
		}, time.Minute, 100*time.Millisecond)
		require.Empty(t, w.runs(name + "/backup")[0].Who)
		require.False(t, w.jobs(name)["backup"].Succeeded.IsZero())
	})

	t.Run("a pause outlives a deploy that changes the schedule", func(t *testing.T) {
		require.Zero(t, w.mcp("job", "pause", name+"/backup").code)
		require.True(t, w.schedule(name, "backup").Schedule.State.Paused)
		define("45 4 29 2 *", "")
		require.Equal(t, plan.Replace, w.deploy(name).Jobs[0].Action)
		described := w.schedule(name, "backup")
		require.True(t, described.Schedule.State.Paused)
		require.Equal(t, 45, described.Schedule.Spec.Calendars[0].Minute[0].Start)
		require.Equal(t, "paused", w.jobs(name)["backup"].State)
		require.Zero(t, w.mcp("run", name+"/backup").code, "it runs when asked")
		require.Zero(t, w.mcp("job", "resume", name+"/backup").code)
		require.False(t, w.schedule(name, "backup").Schedule.State.Paused)
	})

	t.Run("Ctrl-C leaves a run alone, and a deploy too", func(t *testing.T) {
		r := w.mcpUntilSaysOut("not listening", "run", name+"/long")
		require.Equal(t, 130, r.code, r)
		require.Contains(t, r.stderr, "the run goes on")
		running := w.jobs(name)["long"].Running
		require.NotNil(t, running)
		containers := w.jobContainers(name)
		require.Len(t, containers, 1)

		r = w.mcp("run", name+"/long")
		require.Equal(t, 1, r.code, r)
		require.Contains(t, r.stderr, "run 1 of nightly/long has been under way since")

		define("45 4 29 2 *", `env = { NEW = "1" }`)
		require.Equal(t, workflows.Succeeded, w.deploy(name).Outcome)
		require.Equal(t, containers, w.jobContainers(name), "it runs on")
		require.NotContains(t, w.mcp("status", name).stdout, "orphan")

		r = w.mcp("job", "cancel", name+"/long")
		require.Zero(t, r.code, r)
		require.Equal(t, fleet.RunCancelled, w.runs(name + "/long")[0].Outcome)
		require.Empty(t, w.jobContainers(name))
	})

	t.Run("a stop ends runs and schedules, and a start brings them back", func(t *testing.T) {
		require.Equal(t, 130, w.mcpUntilSaysOut("not listening", "run", name+"/long").code)
		require.Zero(t, w.mcp("stop", name).code)
		require.Empty(t, w.jobContainers(name))
		require.Nil(t, w.schedule(name, "backup"))
		require.Equal(t, "stopped", w.jobs(name)["backup"].State)
		r := w.mcp("run", name+"/backup")
		require.Equal(t, 2, r.code, r)
		require.Contains(t, r.stderr, "service nightly is stopped")
		require.Zero(t, w.mcp("start", name).code)
		require.NotNil(t, w.schedule(name, "backup"))
	})

	t.Run("an undeploy ends runs and schedules, and a rollback brings them back", func(t *testing.T) {
		require.Equal(t, 130, w.mcpUntilSaysOut("not listening", "run", name+"/long").code)
		r := w.mcp("undeploy", name, "--yes")
		require.Zero(t, r.code, r)
		require.Empty(t, w.jobContainers(name))
		require.Nil(t, w.schedule(name, "backup"))
		require.Empty(t, w.jobs(name))
		r = w.mcp("rollback", name)
		require.Zero(t, r.code, r)
		require.NotNil(t, w.schedule(name, "backup"))
		require.Zero(t, w.mcp("run", name+"/backup").code)
	})
	require.Zero(t, w.mcp("undeploy", name, "--yes").code)
}

// mcpUntilSaysOut runs a command that is interrupted when its stdout has the text.
func (w *world) mcpUntilSaysOut(text string, args ...string) reply {
	w.t.Helper()
	ctx, interrupt := context.WithTimeout(w.t.Context(), time.Minute)
	defer interrupt()
	var stderr printed.Text
	stdout := trigger{text: text, pull: interrupt}
	app := &cli.App{Stdout: &stdout, Stderr: &stderr, Getenv: w.getenv}
	code := app.Run(ctx, append([]string{"--config", w.config()}, args...))
	return reply{code, stdout.String(), stderr.String()}
}

// jobsReplay runs each type of workflow of jobs.
func (w *world) jobsReplay(name string) {
	w.t.Helper()
	w.define(name, w.service(name, "v1", `env = { A = "b" }`)+
		w.job("backup", w.image(name, "v1"), `cmd = ["/app", "say", "backed up", "0"]`+"\nschedule = \"0 12 29 2 *\""))
	w.deploy(name)
	for _, args := range [][]string{
		{"run", name + "/backup"}, {"jobs"}, {"job", "history", name + "/backup"}, {"job", "logs", name + "/backup"},
		{"job", "pause", name + "/backup"},
	} {
		r := w.mcp(args...)
		require.Zero(w.t, r.code, "mcp %s: %s", strings.Join(args, " "), r)
	}
	w.starts(workflows.RemoveTaskName, workflows.RemoveTaskInput{Node: w.node, Task: onnode.TaskSpec{
		Task: fleet.RunTask("none", 1, "backup"), Component: activities.ComponentSpec{Service: name},
	}})
}
