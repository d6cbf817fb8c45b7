package workflows_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/workflows"
)

// talking makes containers print their own name.
func (s *harness) talking() (asked map[string]activities.LogsInput) {
	asked = map[string]activities.LogsInput{}
	s.env.RegisterActivityWithOptions(func(ctx context.Context, in activities.LogsInput) (activities.LogsResult, error) {
		var result activities.LogsResult
		name := strings.TrimPrefix(activity.GetInfo(ctx).TaskQueue, "node-")
		s.mu.Lock()
		asked[name] = in
		s.mu.Unlock()
		for _, source := range in.Sources {
			result.Sources = append(result.Sources, activities.SourceLogs{
				Component: source.Component, Container: source.Container, Marks: source.Marks, Lines: []activities.LogLine{{LogLine: runtime.LogLine{Text: source.Container}}},
			})
		}
		return result, s.call(ctx, name)
	}, activity.RegisterOptions{Name: "ContainerLogs"})
	return asked
}

func (s *harness) logs(t *testing.T, in workflows.LogsInput) (workflows.LogsResult, *fault.Error) {
	t.Helper()
	s.env.ExecuteWorkflow(workflows.LogsName, in)
	var result workflows.LogsResult
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
	result, failed := s.logs(t, workflows.LogsInput{Service: "shop", Lines: 5, Since: time.Minute})
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
	marks := workflows.LogMarks{"id": {Lines: 3}}
	result, failed := s.logs(t, workflows.LogsInput{Service: "shop", Component: "web", Wait: time.Second, Marks: marks})
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
	result, failed := s.logs(t, workflows.LogsInput{Service: "shop", Lines: 5})
	require.Nil(t, failed)
	require.Nil(t, result.Logs[0].Error)
	require.Equal(t, "web", result.Logs[1].Component)
	require.Contains(t, result.Logs[1].Error.Message, "podman does not answer")
}

func TestLogsOfAMissingComponentAreNotFound(t *testing.T) {
	for want, in := range map[string]workflows.LogsInput{
		"service other has never been deployed":                                 {Service: "other"},
		"the release of service shop has no component another: it has api, web": {Service: "shop", Component: "another"},
	} {
		s := spread(t)
		s.talking()
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
			s.env.RegisterActivityWithOptions(func(_ context.Context, in activities.ExecInput) (runtime.ExecResult, error) {
				runs++
				require.Equal(t, "shop-web", in.Container)
				if failure != nil {
					return runtime.ExecResult{}, activities.ToTemporal(failure, true)
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
