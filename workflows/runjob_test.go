package workflows_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// runHarness runs RunJob with a scripted registry and node.
type runHarness struct {
	env   *testsuite.TestWorkflowEnvironment
	mu    sync.Mutex
	calls []string
	job   servicedef.Component
	// other is the run under way that BeginRun finds; nil for none.
	other func() *fleet.JobRun
	begun fleet.RunBegun
	// start and await are what the node does with an attempt.
	start func(attempt string) error
	await func(ctx context.Context, attempt string) (fleet.TaskResult, error)
	ended *fleet.RunEnd
	tasks []onnode.TaskSpec
}

func newRunHarness(t *testing.T) *runHarness {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	h := &runHarness{
		env: suite.NewTestWorkflowEnvironment(),
		job: servicedef.Component{
			Name: "backup", Node: "rift", Image: "r.example/api:v1", Cmd: []string{"dump"}, Schedule: "0 3 * * *", Overlap: servicedef.OverlapSkip,
			CatchUp: servicedef.Duration(time.Hour), Timeout: servicedef.Duration(time.Minute), Keep: 7,
		},
		other: func() *fleet.JobRun { return nil },
		start: func(string) error { return nil },
		await: func(context.Context, string) (fleet.TaskResult, error) {
			return fleet.TaskResult{State: fleet.TaskSucceeded, Detail: "exited with code 0", Log: []string{"done"}, Lines: 1}, nil
		},
	}
	h.env.SetTestTimeout(time.Minute)
	h.env.SetWorkerOptions(workerOptions())
	h.env.RegisterWorkflowWithOptions(workflows.RunJob, workflow.RegisterOptions{Name: workflows.RunJobName})
	h.env.RegisterWorkflowWithOptions(workflows.RemoveTask, workflow.RegisterOptions{Name: workflows.RemoveTaskName})
	h.env.RegisterWorkflowWithOptions(tend.Alert, workflow.RegisterOptions{Name: tend.AlertName})
	add := func(name string, run any) {
		h.env.RegisterActivityWithOptions(run, activity.RegisterOptions{Name: name})
	}
	add("BeginRun", func(_ context.Context, in fleet.RunRequest) (fleet.RunBegun, error) {
		begun := h.begun
		begun.Job, begun.Image, begun.ReleaseRun = h.job, "r.example/api@sha256:a", "release-run"
		if begun.Other = h.other(); begun.Other == nil && begun.Refused == "" {
			begun.Run = &fleet.JobRun{Service: in.Service, Job: in.Job, Number: 4, Release: 3, Node: "rift", Due: in.Due, RunID: in.RunID}
		}
		h.call("BeginRun", "")
		return begun, nil
	})
	add("SkipRun", func(_ context.Context, in oncontrol.SkipRunInput) error {
		h.call("SkipRun", in.Detail)
		return nil
	})
	add("RecordAttempt", func(_ context.Context, in oncontrol.RecordAttemptInput) error {
		h.call("RecordAttempt", fmt.Sprint(in.Attempts))
		return nil
	})
	add("EndRun", func(_ context.Context, in fleet.RunEnd) (oncontrol.EndRunResult, error) {
		h.call("EndRun", string(in.Outcome))
		h.ended = &in
		return oncontrol.EndRunResult{}, nil
	})
	add("StartTask", func(_ context.Context, in onnode.TaskSpec) (onnode.StartTaskResult, error) {
		h.call("StartTask", h.attempt(in))
		h.tasks = append(h.tasks, in)
		return onnode.StartTaskResult{}, h.start(h.attempt(in))
	})
	add("AwaitTask", func(ctx context.Context, in onnode.TaskSpec) (fleet.TaskResult, error) {
		h.call("AwaitTask", h.attempt(in))
		return h.await(ctx, h.attempt(in))
	})
	add("StopTask", func(_ context.Context, in onnode.TaskSpec) (fleet.TaskResult, error) {
		h.call("StopTask", h.attempt(in))
		return fleet.TaskResult{State: fleet.TaskStopped, Detail: "was stopped"}, nil
	})
	add("RemoveTask", func(_ context.Context, in onnode.TaskSpec) error {
		h.call("RemoveTask", h.attempt(in))
		return nil
	})
	return h
}

func (h *runHarness) call(activity, subject string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, strings.TrimSpace(activity+" "+subject))
}

// attempt is the number in the id of a task.
func (h *runHarness) attempt(in onnode.TaskSpec) string {
	return in.ID[strings.LastIndex(in.ID, "/")+1:]
}

func (h *runHarness) run(in workflows.RunJobInput) error {
	in.Service, in.Job = "shop", "backup"
	h.env.ExecuteWorkflow(workflows.RunJobName, in)
	return h.env.GetWorkflowError()
}

func TestARunOfAJob(t *testing.T) {
	h := newRunHarness(t)
	require.NoError(t, h.run(workflows.RunJobInput{Command: []string{"dump", "--all"}}))
	require.Equal(t, []string{"BeginRun", "RecordAttempt 1", "StartTask 1", "AwaitTask 1", "EndRun succeeded", "RemoveTask 1"}, h.calls)
	require.Equal(t, []string{"done"}, h.ended.Log)
	require.Equal(t, 7, h.ended.Keep)
	task := h.tasks[0]
	require.Equal(t, fleet.JobTask, task.Kind)
	require.Equal(t, []string{"dump", "--all"}, task.Component.Definition.Cmd)
	require.Equal(t, "r.example/api@sha256:a", task.Component.Image)
	require.Equal(t, 3, task.Component.Deployment)
	require.Equal(t, servicedef.Duration(time.Minute), task.Timeout)
	var run fleet.JobRun
	require.NoError(t, h.env.GetWorkflowResult(&run))
	require.Equal(t, fleet.RunSucceeded, run.Outcome)
}

func TestARunThatFails(t *testing.T) {
	failed := func(context.Context, string) (fleet.TaskResult, error) {
		return fleet.TaskResult{State: fleet.TaskFailed, ExitCode: 3, Detail: "exited with code 3"}, nil
	}
	t.Run("is tried again while retries are left", func(t *testing.T) {
		h := newRunHarness(t)
		h.job.Retries = 1
		h.await = failed
		err := h.run(workflows.RunJobInput{})
		require.Equal(t, []string{
			"BeginRun", "RecordAttempt 1", "StartTask 1", "AwaitTask 1", "RemoveTask 1",
			"RecordAttempt 2", "StartTask 2", "AwaitTask 2", "EndRun failed", "RemoveTask 2",
		}, h.calls)
		require.Equal(t, 3, h.ended.ExitCode)
		require.Equal(t, "run 4 of shop/backup failed: exited with code 3", workflows.FaultOf(err).Message)
		var run fleet.JobRun
		require.True(t, workflows.ResultOf(err, &run))
		require.Equal(t, 2, run.Attempts)
	})
	t.Run("is not tried again where its node was lost in the middle", func(t *testing.T) {
		h := newRunHarness(t)
		h.await = func(context.Context, string) (fleet.TaskResult, error) {
			return fleet.TaskResult{State: fleet.TaskLost, Detail: "was lost: its host was booted"}, nil
		}
		require.Error(t, h.run(workflows.RunJobInput{}))
		require.Equal(t, 1, strings.Count(strings.Join(h.calls, " "), "StartTask"))
		require.Equal(t, fleet.RunFailed, h.ended.Outcome)
	})
	t.Run("is ended where its end is not known", func(t *testing.T) {
		h := newRunHarness(t)
		h.job.Retries = 1
		h.await = func(_ context.Context, number string) (fleet.TaskResult, error) {
			if number == "1" {
				return fleet.TaskResult{}, attempt.ToTemporal(fault.New(fault.Internal, "the engine is gone"), false)
			}
			return fleet.TaskResult{State: fleet.TaskSucceeded}, nil
		}
		require.NoError(t, h.run(workflows.RunJobInput{}))
		require.Equal(t, []string{
			"BeginRun", "RecordAttempt 1", "StartTask 1", "AwaitTask 1", "StopTask 1", "RemoveTask 1",
			"RecordAttempt 2", "StartTask 2", "AwaitTask 2", "EndRun succeeded", "RemoveTask 2",
		}, h.calls, "none runs beside the next one")
	})
}

func TestARunThatCannotBegin(t *testing.T) {
	t.Run("a node that is away is waited for as long as catch_up has it", func(t *testing.T) {
		h := newRunHarness(t)
		h.job.Retries = 5
		h.start = func(string) error { return temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil) }
		err := h.run(workflows.RunJobInput{})
		require.Equal(t, fleet.RunMissed, h.ended.Outcome)
		require.Equal(t, "node rift did not take it within 1h0m0s", h.ended.Detail)
		require.Equal(t, fault.Unavailable, workflows.FaultOf(err).Kind)
		require.NotContains(t, h.calls, "StartTask 2")
	})
	t.Run("and not for longer", func(t *testing.T) {
		h := newRunHarness(t)
		h.job.CatchUp = servicedef.Duration(10 * time.Second)
		h.start = func(string) error { return temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil) }
		require.Error(t, h.run(workflows.RunJobInput{}))
		require.Equal(t, "node rift did not take it within 10s", h.ended.Detail)
		h = newRunHarness(t)
		h.start = func(string) error { return temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil) }
		require.Error(t, h.run(workflows.RunJobInput{Who: "ann"}))
		require.Equal(t, "node rift did not take it within 1m0s", h.ended.Detail, "a client waits")
	})
	t.Run("one that was due too long ago", func(t *testing.T) {
		h := newRunHarness(t)
		require.Error(t, h.run(workflows.RunJobInput{Due: h.env.Now().Add(-2 * time.Hour)}))
		require.Equal(t, []string{"BeginRun", "EndRun missed"}, h.calls)
	})
	t.Run("its node is draining", func(t *testing.T) {
		h := newRunHarness(t)
		h.begun.Draining = true
		require.Error(t, h.run(workflows.RunJobInput{}))
		require.Equal(t, []string{"BeginRun", "EndRun missed"}, h.calls)
	})
	t.Run("the release has no such job", func(t *testing.T) {
		h := newRunHarness(t)
		h.begun.Refused = "service shop is stopped"
		require.NoError(t, h.run(workflows.RunJobInput{}), "its schedule is about to go")
		h = newRunHarness(t)
		h.begun.Refused = "service shop is stopped"
		require.ErrorContains(t, h.run(workflows.RunJobInput{Who: "ann"}), "service shop is stopped")
	})
}

func TestARunBesideAnother(t *testing.T) {
	under := &fleet.JobRun{Service: "shop", Job: "backup", Number: 3, Node: "rift", WorkflowID: "other", RunID: "other-run"}
	// until is a run that is under way for the first reads.
	until := func(reads int) func() *fleet.JobRun {
		return func() *fleet.JobRun {
			if reads--; reads < 0 {
				return nil
			}
			return under
		}
	}
	t.Run("is skipped", func(t *testing.T) {
		h := newRunHarness(t)
		h.other = until(99)
		require.NoError(t, h.run(workflows.RunJobInput{}))
		require.Equal(t, []string{"BeginRun", "SkipRun run 3 was under way"}, h.calls)
	})
	t.Run("is refused where a person asks for it", func(t *testing.T) {
		h := newRunHarness(t)
		h.other = until(99)
		err := h.run(workflows.RunJobInput{Who: "ann"})
		require.Equal(t, fault.Conflict, workflows.FaultOf(err).Kind)
		require.Equal(t, []string{"BeginRun"}, h.calls)
	})
	t.Run("waits", func(t *testing.T) {
		h := newRunHarness(t)
		h.job.Overlap, h.other = servicedef.OverlapQueue, until(3)
		require.NoError(t, h.run(workflows.RunJobInput{}))
		require.Equal(t, "BeginRun BeginRun BeginRun BeginRun RecordAttempt 1", strings.Join(h.calls[:5], " "))
	})
	t.Run("ends the other one", func(t *testing.T) {
		h := newRunHarness(t)
		h.job.Overlap, h.other = servicedef.OverlapReplace, until(2)
		cancelled := 0
		h.env.OnRequestCancelExternalWorkflow("default-test-namespace", "other", "other-run").Return(func(string, string, string) error {
			cancelled++
			return nil
		})
		require.NoError(t, h.run(workflows.RunJobInput{}))
		require.Equal(t, 1, cancelled)
		require.Equal(t, fleet.RunSucceeded, h.ended.Outcome)
	})
}

func TestARunThatIsCancelled(t *testing.T) {
	h := newRunHarness(t)
	h.job.Retries = 3
	h.await = func(ctx context.Context, _ string) (fleet.TaskResult, error) {
		<-ctx.Done()
		return fleet.TaskResult{}, ctx.Err()
	}
	h.env.RegisterDelayedCallback(h.env.CancelWorkflow, time.Second)
	err := h.run(workflows.RunJobInput{})
	require.True(t, temporal.IsCanceledError(err), "%v", err)
	require.Equal(t, fleet.RunCancelled, h.ended.Outcome)
	require.Equal(t, "was stopped", h.ended.Detail)
	require.Equal(t, []string{"BeginRun", "RecordAttempt 1", "StartTask 1", "AwaitTask 1", "StopTask 1", "EndRun cancelled", "RemoveTask 1"}, h.calls)
}
