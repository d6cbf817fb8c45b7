package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
)

// booted is a stage on which the host of the service's node has booted.
func booted(t *testing.T) *stage {
	s := newStage(t)
	in := shop()
	for i := range in.Definition.Components {
		in.Definition.Components[i].Restart = "always"
	}
	s.released(in)
	for i := range s.nodes["rift"] {
		s.nodes["rift"][i].Running = false
	}
	s.boot = plan.Boot{New: true, Services: []string{"shop"}}
	s.env.OnWorkflow(workflows.MonitorNodeName, mock.Anything, "rift").Return(nil).Once()
	return s
}

func (s *stage) announce(t *testing.T) {
	t.Helper()
	s.env.ExecuteWorkflow(workflows.RegisterNodeName, plan.NodeRecord{Name: "rift", Boot: "b2"})
	require.True(t, s.env.IsWorkflowCompleted())
	require.NoError(t, s.env.GetWorkflowError())
	s.env.AssertWorkflowNumberOfCalls(t, workflows.MonitorNodeName, 1)
}

const started = "Restore rift remove[] rename[] start[shop-api shop-web]"

func TestANodeThatHasBootedRunsWhatItShould(t *testing.T) {
	s := booted(t)
	s.announce(t)
	require.Equal(t, []string{"RecordNode rift", started, "MarkRevived rift b2"}, s.changes())
}

func TestANodeWhoseWorkerAloneWasStartedIsLeftAlone(t *testing.T) {
	s := booted(t)
	s.boot.New = false
	s.announce(t)
	require.Equal(t, []string{"RecordNode rift"}, s.changes())
}

func TestADeployThatIsUnderWayComesFirst(t *testing.T) {
	s := booted(t)
	began := s.env.Now()
	s.deploying = func() bool { return s.env.Now().Sub(began) < time.Minute }
	s.announce(t)
	require.GreaterOrEqual(t, s.env.Now().Sub(began), time.Minute)
	require.Equal(t, []string{"RecordNode rift", started, "MarkRevived rift b2"}, s.changes())
}

func TestADeployThatHasBeenThereMeanwhileIsSeen(t *testing.T) {
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
	s.announce(t)
	require.Equal(t, []string{"RecordNode rift", "MarkRevived rift b2"}, s.changes())
}

func TestAServiceThatIsGoneKeepsNobodyWaiting(t *testing.T) {
	s := booted(t)
	s.boot.Services = []string{"blog", "shop"}
	s.announce(t)
	require.Equal(t, []string{"RecordNode rift", started, "MarkRevived rift b2"}, s.changes())
}

func TestABootStaysNewWhileADeployDoesNotEnd(t *testing.T) {
	s := booted(t)
	s.deploying = func() bool { return true }
	s.env.ExecuteWorkflow(workflows.RegisterNodeName, plan.NodeRecord{Name: "rift", Boot: "b2"})
	require.True(t, s.env.IsWorkflowCompleted())
	require.ErrorContains(t, s.env.GetWorkflowError(), "a deploy is under way")
	require.Equal(t, []string{"RecordNode rift"}, s.changes())
}
