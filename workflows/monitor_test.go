package workflows_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/tend"
)

// observe observes the node rift once, and returns what was recorded.
func (s *harness) observe(t *testing.T) fleet.Observation {
	t.Helper()
	s.released(shop())
	began := s.env.Now()
	s.env.ExecuteWorkflow(tend.MonitorNodeName, "rift")
	require.True(t, s.env.IsWorkflowCompleted())
	require.NoError(t, s.env.GetWorkflowError())
	require.Len(t, s.observations, 1)
	require.True(t, s.observations[0].At.Equal(began), "when the observation began")
	require.Equal(t, "rift", s.observations[0].Node)
	return s.observations[0]
}

func TestAnObservationIsRecorded(t *testing.T) {
	s := newHarness(t)
	seen := s.observe(t)
	require.Empty(t, seen.Problem)
	require.Equal(t, 2, seen.Status.Containers)
	require.Len(t, seen.Containers, 2)
	require.Equal(t, "shop-api", seen.Containers[0].Name)
	require.Equal(t, []string{"ObserveNode rift", "RecordObservation rift"}, s.calls)
}

func TestAnObservationOfANodeThatDoesNotAnswerIsRecordedToo(t *testing.T) {
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
			s := newHarness(t)
			s.env.OnActivity("ObserveNode", mock.Anything).Return(onnode.ObserveNodeResult{}, asActivity(test.failure)).Once()
			seen := s.observe(t)
			require.Equal(t, test.problem, seen.Problem)
			require.Nil(t, seen.Status)
			require.Empty(t, seen.Containers)
		})
	}
}

// asActivity is an error as an activity returns it.
func asActivity(err error) error {
	if f := fault.Of(err); f.Kind != fault.Internal {
		return attempt.ToTemporal(err, f.Kind.Retryable())
	}
	return err
}

// monitor runs Monitor once. Nodes whose names begin with "dead" do not answer.
func (s *harness) monitor(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		dead := strings.HasPrefix(name, "dead")
		s.watched = append(s.watched, fleet.WatchedNode{Name: name, Silent: dead})
		if !dead {
			s.nodes[name] = nil
		}
	}
	s.env.ExecuteWorkflow(tend.MonitorName, tend.MonitorInput{Over: time.Minute})
	require.True(t, s.env.IsWorkflowCompleted())
}

// observed are the nodes whose observations were recorded, by name.
func (s *harness) observed() []string {
	var names []string
	for _, seen := range s.observations {
		names = append(names, seen.Node)
	}
	slices.Sort(names)
	return names
}

func TestTheMonitorObservesEachNode(t *testing.T) {
	s := newHarness(t)
	s.monitor(t, "rift", "orion")
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{"orion", "rift"}, s.observed())
}

func TestAFleetWithoutNodesIsMonitored(t *testing.T) {
	s := newHarness(t)
	s.monitor(t)
	require.NoError(t, s.env.GetWorkflowError())
	require.Empty(t, s.calls)
}

func TestAnObservationThatFailsDelaysNoOther(t *testing.T) {
	s := newHarness(t)
	s.fail = failing("RecordObservation orion", 0, fault.New(fault.Internal, "no such column"))
	s.monitor(t, "rift", "orion")
	require.ErrorContains(t, s.env.GetWorkflowError(), "no such column")
	require.Equal(t, []string{"rift"}, s.observed())
}

func TestANodeThatDoesNotAnswerIsObservedInASeparateRun(t *testing.T) {
	s := newHarness(t)
	var left []string
	s.env.OnWorkflow(tend.MonitorNodeName, mock.Anything, mock.Anything).Return(
		func(ctx workflow.Context, name string) error {
			require.Equal(t, "monitor/"+name, workflow.GetInfo(ctx).WorkflowExecution.ID)
			left = append(left, name)
			return errors.New("no caller waits for it")
		})
	s.monitor(t, "dead-1", "rift", "dead-2")
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{"rift"}, s.observed())
	require.Equal(t, []string{"dead-1", "dead-2"}, left)
}

func TestALargeFleetIsObservedInBatches(t *testing.T) {
	s := newHarness(t)
	var names []string
	for i := range 120 {
		names = append(names, fmt.Sprintf("node-%03d", i))
	}
	began := s.env.Now()
	s.monitor(t, names...)
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, names, s.observed())
	for _, seen := range s.observations {
		i := slices.Index(names, seen.Node)
		require.Equal(t, time.Duration(i/50)*20*time.Second, seen.At.Sub(began).Round(time.Second), "%s: each batch has its share of the minute", seen.Node)
	}
}

func TestAnObservationThatCannotBeRecordedIsGivenUp(t *testing.T) {
	s := newHarness(t)
	s.fail = failing("RecordObservation", 0, fault.New(fault.Unavailable, "Postgres does not answer"))
	began := s.env.Now()
	s.env.ExecuteWorkflow(tend.MonitorNodeName, "rift")
	require.True(t, s.env.IsWorkflowCompleted())
	require.ErrorContains(t, s.env.GetWorkflowError(), "Postgres does not answer")
	require.Less(t, s.env.Now().Sub(began), 30*time.Second)
}

func TestAnObservationDoesNotWaitForAlerts(t *testing.T) {
	s := newHarness(t)
	s.alerting = []string{"command", "webhook"}
	var alerted []string
	s.env.OnWorkflow(tend.AlertName, mock.Anything, mock.Anything).Return(
		func(ctx workflow.Context, destination string) (oncontrol.DeliverResult, error) {
			alerted = append(alerted, workflow.GetInfo(ctx).WorkflowExecution.ID)
			return oncontrol.DeliverResult{}, workflow.Sleep(ctx, time.Hour) // no caller waits for it
		})
	s.observe(t)
	require.Equal(t, []string{"alert/command", "alert/webhook"}, alerted)
}

func TestAnAlertIsRetried(t *testing.T) {
	s := newHarness(t)
	var attempts int32
	down := failing("Deliver", 30, fault.New(fault.Unavailable, "send to the webhook: 500"))
	s.fail = func(call string, attempt int32) error {
		attempts = attempt
		return down(call, attempt)
	}
	began := s.env.Now()
	s.env.ExecuteWorkflow(tend.AlertName, "webhook")
	require.True(t, s.env.IsWorkflowCompleted())
	require.NoError(t, s.env.GetWorkflowError())
	require.EqualValues(t, 31, attempts)
	require.Greater(t, s.env.Now().Sub(began), time.Hour, "not every ten seconds")
}
