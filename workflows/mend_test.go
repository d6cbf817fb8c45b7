package workflows_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

// dirty sets up a service whose deployment 8 failed and could not be undone: its
// container exists, and the released one is stopped.
func dirty(t *testing.T) *harness {
	s := newHarness(t)
	s.released(shop())
	s.release.Newest = 8
	s.nodes["rift"][0].Running = false
	s.nodes["rift"] = append(s.nodes["rift"], fleet.Container{Name: "shop-api.next", Service: "shop", Component: "api", Deployment: 8, Running: true})
	return s
}

func (s *harness) mend(t *testing.T) {
	t.Helper()
	s.env.ExecuteWorkflow(workflows.MendName, workflows.MendInput{Definition: shop().Definition, Deployment: 8, Nodes: []string{"rift"}})
	require.NoError(t, s.env.GetWorkflowError())
}

func TestMendRepairsWhatADeployCouldNot(t *testing.T) {
	s := dirty(t)
	s.fail = failing("Survey", 6, fault.New(fault.Unavailable, "podman does not answer"))
	s.mend(t)
	require.Equal(t, []string{
		"Restore rift remove[shop-api.next] rename[] start[shop-api]", "ReleasePorts", "MarkMended shop/8",
	}, s.changes())
}

func TestMendLeavesTheServiceToANewerDeployment(t *testing.T) {
	t.Run("that is in the registry", func(t *testing.T) {
		s := dirty(t)
		s.release.Newest = 9
		s.mend(t)
		require.Empty(t, s.changes())
	})
	t.Run("that the node has seen", func(t *testing.T) {
		s := dirty(t)
		s.newest = 9
		s.mend(t)
		require.Empty(t, s.changes())
	})
	t.Run("that began after the survey", func(t *testing.T) {
		s := dirty(t)
		s.fail = func(call string, _ int32) error {
			if !strings.HasPrefix(call, "Restore") {
				return nil
			}
			s.newest = 9
			return fault.New(fault.Conflict, "deployment 8 of shop is over")
		}
		s.mend(t)
		require.Empty(t, s.changes())
	})
}

func TestMendThatBeginsAnewOftenGoesOnAsANewRun(t *testing.T) {
	s := dirty(t)
	s.fail = failing("Restore", 0, fault.New(fault.Conflict, "the worker of node rift has restarted since the survey"))
	s.env.SetCurrentHistoryLength(5000)
	s.env.ExecuteWorkflow(workflows.MendName, workflows.MendInput{Definition: shop().Definition, Deployment: 8, Nodes: []string{"rift"}})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, s.env.GetWorkflowError(), &next)
	require.Equal(t, workflows.MendName, next.WorkflowType.Name)
}

// A worker that was restarted has not seen what the former one had: Mend surveys
// the node again before it changes anything there.
func TestMendSurveysAgainWhereTheFenceIsAnother(t *testing.T) {
	s := dirty(t)
	refused := false
	s.fail = func(call string, _ int32) error {
		if !strings.HasPrefix(call, "Restore") || refused {
			return nil
		}
		refused = true
		return fault.New(fault.Conflict, "the worker of node rift has restarted since the survey")
	}
	s.mend(t)
	require.Equal(t, 2, strings.Count(strings.Join(s.calls, "\n"), "Survey rift"))
	require.Equal(t, []string{
		"Restore rift remove[shop-api.next] rename[] start[shop-api]", "ReleasePorts", "MarkMended shop/8",
	}, s.changes())
}

func TestMendGivesUpANodeThatIsRemoved(t *testing.T) {
	untaken := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
	for name, test := range map[string]struct {
		touched []string
		left    []string
	}{
		"not while it is of the fleet": {[]string{"orion", "rift"}, []string{"rift", "orion"}},
		"once it is not":               {[]string{"rift"}, []string{"rift"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := dirty(t)
			s.release.Touched = test.touched
			s.env.OnActivity("Survey", mock.Anything, mock.Anything).Return(onnode.SurveyResult{}, untaken)
			s.env.ExecuteWorkflow(workflows.MendName, workflows.MendInput{
				Definition: shop().Definition, Deployment: 8, Nodes: []string{"rift", "orion"},
			})
			var again *workflow.ContinueAsNewError
			require.ErrorAs(t, s.env.GetWorkflowError(), &again)
			var in workflows.MendInput
			require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
			require.Equal(t, test.left, in.Nodes)
			require.Empty(t, s.changes())
		})
	}
}
