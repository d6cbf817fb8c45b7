package workflows_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

// talking makes containers print their own name.
func (s *harness) talking() (asked map[string]onnode.LogsInput) {
	asked = map[string]onnode.LogsInput{}
	s.env.RegisterActivityWithOptions(func(ctx context.Context, in onnode.LogsInput) (onnode.LogsResult, error) {
		var result onnode.LogsResult
		name := strings.TrimPrefix(activity.GetInfo(ctx).TaskQueue, "node-")
		s.mu.Lock()
		asked[name] = in
		s.mu.Unlock()
		for _, source := range in.Sources {
			result.Sources = append(result.Sources, onnode.SourceLogs{
				Component: source.Component, Container: source.Container, Marks: source.Marks, Lines: []onnode.LogLine{{LogLine: runtime.LogLine{Text: source.Container}}},
			})
		}
		return result, s.call(ctx, name)
	}, activity.RegisterOptions{Name: "ContainerLogs"})
	return asked
}

func (s *harness) logs(t *testing.T, in reads.LogsInput) (reads.LogsResult, *fault.Error) {
	t.Helper()
	s.env.ExecuteWorkflow(reads.LogsName, in)
	var result reads.LogsResult
	if err := s.env.GetWorkflowError(); err != nil {
		return result, workflows.FaultOf(err)
	}
	require.NoError(t, s.env.GetWorkflowResult(&result))
	return result, nil
}

// spread is the shop with web on another node.
func spread(t *testing.T) *harness {
	s, in := newHarness(t), shop()
	in.Definition.Components[1].Node = "orion"
	s.released(in)
	return s
}

func TestLogsAskEachNodeForItsComponentsAndShareTheAnswer(t *testing.T) {
	s := spread(t)
	asked := s.talking()
	result, failed := s.logs(t, reads.LogsInput{Service: "shop", Lines: 5, Since: time.Minute})
	require.Nil(t, failed)
	require.Equal(t, []string{"api", "web"}, result.Components)
	require.Equal(t, "shop-api", result.Logs[0].Lines[0].Text)
	require.Equal(t, "rift", result.Logs[0].Node)
	require.Equal(t, "shop-web", result.Logs[1].Lines[0].Text)
	require.Equal(t, "orion", result.Logs[1].Node)
	require.Len(t, asked, 2)
	total := 0
	for _, in := range asked {
		require.Equal(t, 5, in.Lines)
		require.Equal(t, time.Minute, in.Since)
		total += in.Bytes
	}
	require.LessOrEqual(t, total, 1<<20)
}

func TestLogsOfOneComponentContinueAfterItsMarks(t *testing.T) {
	s := spread(t)
	asked := s.talking()
	marks := reads.LogMarks{"id": {Lines: 3}}
	result, failed := s.logs(t, reads.LogsInput{Service: "shop", Component: "web", Wait: time.Second, Marks: marks})
	require.Nil(t, failed)
	require.Equal(t, []string{"api", "web"}, result.Components)
	require.Len(t, result.Logs, 1)
	require.Equal(t, marks, asked["orion"].Sources[0].Marks)
	require.Equal(t, time.Second, asked["orion"].Wait)
}

func TestANodeThatDoesNotAnswerIsReportedBesideTheLogsOfOthers(t *testing.T) {
	s := spread(t)
	s.talking()
	s.fail = failing("ContainerLogs orion", 0, fault.New(fault.Unavailable, "podman does not answer"))
	result, failed := s.logs(t, reads.LogsInput{Service: "shop", Lines: 5})
	require.Nil(t, failed)
	require.Nil(t, result.Logs[0].Error)
	require.Equal(t, "web", result.Logs[1].Component)
	require.Contains(t, result.Logs[1].Error.Message, "podman does not answer")
}

func TestLogsOfAMissingComponentAreNotFound(t *testing.T) {
	for want, in := range map[string]reads.LogsInput{
		"service other has never been deployed":                                 {Service: "other"},
		"the release of service shop has no component another: it has api, web": {Service: "shop", Component: "another"},
	} {
		s := spread(t)
		s.talking()
		s.env.RegisterActivityWithOptions(func(context.Context, fleet.TaskQuery) ([]fleet.TaskRecord, error) { return nil, nil }, activity.RegisterOptions{Name: "Tasks"})
		_, failed := s.logs(t, in)
		require.Equal(t, fault.NotFound, failed.Kind)
		require.Equal(t, want, failed.Message)
	}
}

func TestACommandIsRunOnceHoweverItEnds(t *testing.T) {
	for name, failure := range map[string]error{"done": nil, "failed": fault.New(fault.Unavailable, "podman does not answer")} {
		t.Run(name, func(t *testing.T) {
			s := spread(t)
			runs := 0
			s.env.RegisterActivityWithOptions(func(_ context.Context, in onnode.ExecInput) (runtime.ExecResult, error) {
				runs++
				require.Equal(t, "shop-web", in.Container)
				if failure != nil {
					return runtime.ExecResult{}, attempt.ToTemporal(failure, true)
				}
				return runtime.ExecResult{ExitCode: 3}, nil
			}, activity.RegisterOptions{Name: "Exec"})
			s.env.ExecuteWorkflow(workflows.ExecName, workflows.ExecInput{Service: "shop", Component: "web", Command: []string{"x"}, Timeout: time.Second})
			require.Equal(t, 1, runs)
			if failure != nil {
				require.Equal(t, "orion", workflows.FaultOf(s.env.GetWorkflowError()).Node)
				return
			}
			var result workflows.ExecResult
			require.NoError(t, s.env.GetWorkflowResult(&result))
			require.Equal(t, 3, result.ExitCode)
		})
	}
	t.Run("of a service with several components one must be named", func(t *testing.T) {
		s := spread(t)
		s.env.ExecuteWorkflow(workflows.ExecName, workflows.ExecInput{Service: "shop", Command: []string{"x"}, Timeout: time.Second})
		require.Equal(t, fault.Invalid, workflows.FaultOf(s.env.GetWorkflowError()).Kind)
	})
}

func TestLogsOfAStepAndAJobAreThoseOfTheLastRun(t *testing.T) {
	failed := fleet.TaskRecord{
		Task: fleet.Task{ID: "run/migrate/1", Kind: fleet.StepTask, Name: "migrate"}, Deployment: 4, Node: "rift", Container: "shop-migrate.run-1",
		TaskResult: fleet.TaskResult{State: fleet.TaskFailed, Detail: "exited with code 3", Log: []string{"recorded"}},
	}
	for name, test := range map[string]struct {
		first bool // the deployment of the step is the first one, and has failed
		fails error
		gone  bool
		want  string
		said  string
	}{
		"the node has the output":            {want: "printed", said: "step migrate of deployment 4 of shop: exited with code 3"},
		"also where no deploy has succeeded": {first: true, want: "printed", said: "step migrate of deployment 4 of shop: exited with code 3"},
		"the node has removed it":            {gone: true, want: "recorded", said: "step migrate of deployment 4 of shop: exited with code 3; these are the last lines that were recorded, as its node has no more"},
		"the node does not answer: recorded": {fails: fault.New(fault.Unavailable, "podman does not answer"), want: "recorded", said: "step migrate of deployment 4 of shop: exited with code 3; these are the last lines that were recorded, as its node has no more"},
	} {
		t.Run(name, func(t *testing.T) {
			s := spread(t)
			s.release.Definition.Steps = []servicedef.Step{{Name: "migrate"}}
			if test.first {
				s.release.Definition, s.release.Components, s.release.Newest = nil, nil, 4
			}
			s.env.RegisterActivityWithOptions(func(context.Context, fleet.TaskQuery) ([]fleet.TaskRecord, error) {
				return []fleet.TaskRecord{failed}, nil
			}, activity.RegisterOptions{Name: "Tasks"})
			s.env.RegisterActivityWithOptions(func(_ context.Context, in onnode.TaskLogInput) (onnode.TaskLogResult, error) {
				require.Equal(t, failed.Task, in.Task)
				if test.fails != nil {
					return onnode.TaskLogResult{}, attempt.ToTemporal(test.fails, true)
				}
				line := onnode.LogLine{LogLine: runtime.LogLine{Text: "printed"}}
				return onnode.TaskLogResult{Absent: test.gone, Lines: []onnode.LogLine{line}}, nil
			}, activity.RegisterOptions{Name: "TaskLog"})
			result, failed := s.logs(t, reads.LogsInput{Service: "shop", Component: "migrate", Lines: 5})
			require.Nil(t, failed)
			require.Equal(t, test.said, result.Run.Summary("shop", "migrate"))
			require.Len(t, result.Logs, 1)
			require.Equal(t, test.want, result.Logs[0].Lines[0].Text)
		})
	}
	t.Run("a job's", func(t *testing.T) {
		s := spread(t)
		s.release.Jobs = map[string]fleet.Job{"backup": {Name: "backup"}}
		s.env.RegisterActivityWithOptions(func(context.Context, oncontrol.ListRunsInput) ([]fleet.JobRun, error) {
			return []fleet.JobRun{{Number: 3, Job: "backup", Outcome: fleet.RunSkipped}, {Number: 2, Job: "backup", RunID: "r", Attempts: 1, Container: "c", Node: "rift", Outcome: fleet.RunSucceeded}}, nil
		}, activity.RegisterOptions{Name: "ListRuns"})
		s.env.RegisterActivityWithOptions(func(_ context.Context, in onnode.TaskLogInput) (onnode.TaskLogResult, error) {
			require.Equal(t, fleet.RunTask("r", 1, "backup"), in.Task)
			return onnode.TaskLogResult{Lines: []onnode.LogLine{{LogLine: runtime.LogLine{Text: "backed up"}}}}, nil
		}, activity.RegisterOptions{Name: "TaskLog"})
		result, failed := s.logs(t, reads.LogsInput{Service: "shop", Component: "backup", Lines: 5})
		require.Nil(t, failed)
		require.Equal(t, "run 2 of shop/backup: succeeded", result.Run.Summary("shop", "backup"))
		require.Equal(t, "backed up", result.Logs[0].Lines[0].Text)
	})
	t.Run("a step that has never run, and an unknown name", func(t *testing.T) {
		for want, name := range map[string]string{
			"step migrate of service shop has never run": "migrate",
			"the release of service shop has no component other: it has api, web; its jobs are backup; its steps are migrate": "other",
		} {
			s := spread(t)
			s.release.Definition.Steps = []servicedef.Step{{Name: "migrate"}}
			s.release.Jobs = map[string]fleet.Job{"backup": {Name: "backup"}}
			s.env.RegisterActivityWithOptions(func(context.Context, fleet.TaskQuery) ([]fleet.TaskRecord, error) { return nil, nil }, activity.RegisterOptions{Name: "Tasks"})
			_, failed := s.logs(t, reads.LogsInput{Service: "shop", Component: name})
			require.Equal(t, want, failed.Message)
		}
	})
}
