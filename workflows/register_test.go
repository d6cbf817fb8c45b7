package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/tend"
)

// booted sets up a service whose node's host has booted.
func booted(t *testing.T) *harness {
	s := newHarness(t)
	in := shop()
	for i := range in.Definition.Components {
		in.Definition.Components[i].Restart = "always"
	}
	s.released(in)
	for i := range s.nodes["rift"] {
		s.nodes["rift"][i].Running = false
	}
	return s
}

// revive runs ReviveNode.
func (s *harness) revive(t *testing.T, services ...string) {
	t.Helper()
	s.env.ExecuteWorkflow(tend.ReviveNodeName, tend.ReviveNodeInput{Node: "rift", Boot: "b2", Services: services})
	require.True(t, s.env.IsWorkflowCompleted())
}

const started = "Restore rift remove[] rename[] start[shop-api shop-web]"

func TestRegisteringANodeDoesNotWaitForItsRevival(t *testing.T) {
	for _, boot := range []fleet.Boot{{}, {New: true, Services: []string{"shop"}}} {
		s := booted(t)
		s.boot = boot
		s.env.OnWorkflow(tend.MonitorNodeName, mock.Anything, "rift").Return(nil).Once()
		s.env.ExecuteWorkflow(tend.RegisterNodeName, fleet.NodeRecord{Name: "rift", Boot: "b2"})
		require.True(t, s.env.IsWorkflowCompleted())
		s.env.AssertWorkflowNumberOfCalls(t, tend.MonitorNodeName, 1)
		require.Equal(t, []string{"RecordNode rift"}, s.changes())
		if !boot.New {
			require.NoError(t, s.env.GetWorkflowError())
			continue
		}
		var next *workflow.ContinueAsNewError
		require.ErrorAs(t, s.env.GetWorkflowError(), &next)
		require.Equal(t, tend.ReviveNodeName, next.WorkflowType.Name)
		var in tend.ReviveNodeInput
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
		require.Equal(t, tend.ReviveNodeInput{Node: "rift", Boot: "b2", Services: boot.Services}, in)
	}
}

func TestANodeThatHasBootedIsRevived(t *testing.T) {
	s := booted(t)
	s.revive(t, "shop")
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{started, "MarkRevived rift b2"}, s.changes())
}

func TestARevivalWaitsForADeployUnderWay(t *testing.T) {
	s := booted(t)
	began := s.env.Now()
	s.deploying = func() bool { return s.env.Now().Sub(began) < time.Minute }
	s.revive(t, "shop")
	require.NoError(t, s.env.GetWorkflowError())
	require.GreaterOrEqual(t, s.env.Now().Sub(began), time.Minute)
	require.Equal(t, []string{started, "MarkRevived rift b2"}, s.changes())
}

func TestARevivalYieldsToADeployInBetween(t *testing.T) {
	s := booted(t)
	s.fail = func(call string, _ int32) error {
		if !strings.HasPrefix(call, "Restore") {
			return nil
		}
		for i := range s.nodes["rift"] { // by a deploy
			s.nodes["rift"][i].Running = true
		}
		return fault.New(fault.Conflict, "deployment 7 of shop is over: deployment 8 has begun")
	}
	s.revive(t, "shop")
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{"MarkRevived rift b2"}, s.changes())
}

func TestAServiceThatIsGoneDelaysNoOther(t *testing.T) {
	s := booted(t)
	s.revive(t, "blog", "shop")
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{started, "MarkRevived rift b2"}, s.changes())
}

// A deploy may last longer than a history may become.
func TestARevivalThatWaitsGoesOnAsANewRun(t *testing.T) {
	s := booted(t)
	s.deploying = func() bool { return true }
	s.env.SetContinueAsNewSuggested(true)
	began := s.env.Now()
	s.revive(t, "blog", "shop")
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, s.env.GetWorkflowError(), &next)
	require.Equal(t, tend.ReviveNodeName, next.WorkflowType.Name)
	var in tend.ReviveNodeInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	require.Equal(t, []string{"blog", "shop"}, in.Services)
	require.WithinDuration(t, began.Add(time.Hour), in.Until, time.Minute, "it does not wait for longer")
	require.Empty(t, s.changes(), "the boot stays new")
}

func TestABootStaysNewWhileADeployDoesNotEnd(t *testing.T) {
	s := booted(t)
	s.deploying = func() bool { return true }
	s.revive(t, "shop")
	require.ErrorContains(t, s.env.GetWorkflowError(), "a deploy is under way")
	require.Empty(t, s.changes())
}
