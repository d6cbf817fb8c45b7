package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
)

// look plays one look at the node rift, and returns what was recorded.
func (s *stage) look(t *testing.T) plan.Observation {
	t.Helper()
	s.released(shop())
	began := s.env.Now()
	s.env.ExecuteWorkflow(workflows.MonitorNodeName, "rift")
	require.True(t, s.env.IsWorkflowCompleted())
	require.NoError(t, s.env.GetWorkflowError())
	require.Len(t, s.looks, 1)
	require.True(t, s.looks[0].At.Equal(began), "when the look began")
	require.Equal(t, "rift", s.looks[0].Node)
	return s.looks[0]
}

func TestALookAtANodeIsRecorded(t *testing.T) {
	s := newStage(t)
	look := s.look(t)
	require.Empty(t, look.Problem)
	require.Equal(t, 2, look.Status.Containers)
	require.Len(t, look.Containers, 2)
	require.Equal(t, "shop-api", look.Containers[0].Name)
	require.Equal(t, []string{"ObserveNode rift", "RecordObservation rift"}, s.calls)
}

func TestALookAtANodeThatDoesNotAnswerIsRecordedToo(t *testing.T) {
	for _, test := range []struct {
		name    string
		failure error
		problem string
	}{
		{"no worker takes it", temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil), "node rift: no worker polls node-rift"},
		{"its worker takes too long", temporal.NewTimeoutError(enums.TIMEOUT_TYPE_START_TO_CLOSE, nil), "no answer in time"},
		{"its engine is down", fault.New(fault.Unavailable, "podman at podman.sock does not answer"), "podman at podman.sock does not answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t)
			s.env.OnActivity("ObserveNode", mock.Anything).Return(activities.ObserveNodeResult{}, asActivity(test.failure)).Once()
			look := s.look(t)
			require.Equal(t, test.problem, look.Problem)
			require.Nil(t, look.Status)
			require.Empty(t, look.Containers)
		})
	}
}

// asActivity is an error as an activity returns it.
func asActivity(err error) error {
	if f := fault.Of(err); f.Kind != fault.Internal {
		return activities.ToTemporal(err, f.Kind.Retryable())
	}
	return err
}

func TestALookThatCannotBeRecordedIsGivenUp(t *testing.T) {
	s := newStage(t)
	s.fail = failing("RecordObservation", 0, fault.New(fault.Unavailable, "Postgres does not answer"))
	began := s.env.Now()
	s.env.ExecuteWorkflow(workflows.MonitorNodeName, "rift")
	require.True(t, s.env.IsWorkflowCompleted())
	require.ErrorContains(t, s.env.GetWorkflowError(), "Postgres does not answer")
	require.Less(t, s.env.Now().Sub(began), 30*time.Second)
}

func TestALookLeavesAlertsToOthers(t *testing.T) {
	s := newStage(t)
	s.alerting = []string{"command", "webhook"}
	var told []string
	s.env.OnWorkflow(workflows.AlertName, mock.Anything, mock.Anything).Return(
		func(ctx workflow.Context, destination string) (activities.TellResult, error) {
			told = append(told, workflow.GetInfo(ctx).WorkflowExecution.ID)
			return activities.TellResult{}, workflow.Sleep(ctx, time.Hour) // nobody waits for it
		})
	s.look(t)
	require.Equal(t, []string{"alert/command", "alert/webhook"}, told)
}

func TestAnAlertIsTriedAgain(t *testing.T) {
	s := newStage(t)
	var attempts int32
	down := failing("Tell", 30, fault.New(fault.Unavailable, "tell the webhook: 500"))
	s.fail = func(call string, attempt int32) error {
		attempts = attempt
		return down(call, attempt)
	}
	began := s.env.Now()
	s.env.ExecuteWorkflow(workflows.AlertName, "webhook")
	require.True(t, s.env.IsWorkflowCompleted())
	require.NoError(t, s.env.GetWorkflowError())
	require.EqualValues(t, 31, attempts)
	require.Greater(t, s.env.Now().Sub(began), time.Hour, "not every ten seconds")
}
