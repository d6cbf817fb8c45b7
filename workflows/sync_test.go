package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
)

func (s *harness) sync(t *testing.T, in workflows.DeployInput) workflows.SyncResult {
	t.Helper()
	s.env.ExecuteWorkflow(workflows.SyncName, in)
	require.NoError(t, s.env.GetWorkflowError())
	var result workflows.SyncResult
	require.NoError(t, s.env.GetWorkflowResult(&result))
	return result
}

func TestASyncRecordsAndPlansAndDoesNothingElse(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	in := shop()
	in.Definition.Components[1].Env = map[string]string{"A": "b"}
	result := s.sync(t, in)
	require.True(t, result.Recorded)
	require.Nil(t, result.Error)
	require.Equal(t, plan.Keep, result.Plan.Plan.Steps[0].Action)
	require.Equal(t, plan.Replace, result.Plan.Plan.Steps[1].Action)
	require.Equal(t, []string{"RecordDefinition shop"}, s.changes())
	require.Equal(t, in.Definition.Hash(), s.given.Hash())
}

func TestASyncRecordsWhatCannotBePlanned(t *testing.T) {
	s := newHarness(t)
	s.fail = failing("Survey", 0, fault.New(fault.Unavailable, "connection refused"))
	result := s.sync(t, shop())
	require.True(t, result.Recorded)
	require.Nil(t, result.Plan)
	require.Contains(t, result.Error.Message, "connection refused")
}

func TestADeployRecordsTheDefinitionThatItWasGiven(t *testing.T) {
	part := shop()
	part.Only = []string{"web"}
	part.Definition.Components[0].Env = map[string]string{"A": "b"}
	back := shop()
	back.Verb, back.Release = fleet.VerbRollback, 3
	for name, test := range map[string]struct {
		in   workflows.DeployInput
		want string
	}{
		"whole":    {shop(), shop().Definition.Hash()},
		"part":     {part, part.Definition.Hash()},
		"rollback": {back, ""},
		"undeploy": {undeploy(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.released(shop())
			s.deploy(t, test.in)
			if test.want == "" {
				require.Nil(t, s.given)
				return
			}
			require.Equal(t, test.want, s.given.Hash())
		})
	}
}
