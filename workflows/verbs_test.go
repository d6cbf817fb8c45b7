package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

func TestVerbs(t *testing.T) {
	for _, test := range []struct {
		verb       fleet.Verb
		participle string
		removes    bool
		repeats    bool
	}{
		{verb: fleet.VerbDeploy, participle: "deployed"},
		{verb: fleet.VerbRollback, participle: "deployed"},
		{verb: fleet.VerbReconcile, participle: "deployed", repeats: true},
		{verb: fleet.VerbUndeploy, participle: "undeployed", removes: true, repeats: true},
		{verb: fleet.VerbAdopt, participle: "adopted"},
		{verb: fleet.VerbStop, participle: "stopped", repeats: true},
		{verb: fleet.VerbStart, participle: "started", repeats: true},
		{verb: fleet.VerbRestart, participle: "restarted", repeats: true},
		{verb: fleet.VerbRotate, participle: "rotated"},
	} {
		t.Run(string(test.verb), func(t *testing.T) {
			in := workflows.DeployInput{Verb: test.verb, Definition: servicedef.Service{Name: "shop"}, Who: "operator"}
			require.Equal(t, test.participle, in.Participle())
			require.Equal(t, string(test.verb)+" shop for operator", in.Summary())
			require.Equal(t, test.removes, in.Removes())
			require.Equal(t, test.repeats, workflows.Repeats(test.verb))
		})
	}
	require.Equal(t, []string{"deploy", "rollback", "reconcile", "undeploy", "adopt", "stop", "start", "restart", "rotate"}, workflows.Verbs())
}

func TestAnUnknownVerbIsInvalid(t *testing.T) {
	for _, verb := range []fleet.Verb{"", "purge"} {
		s := newHarness(t)
		in := shop()
		in.Verb = verb
		result := s.deploy(t, in)
		require.Equal(t, workflows.Failed, result.Outcome)
		require.Equal(t, fault.Invalid, result.Error.Kind)
		require.Empty(t, s.calls)
	}
}

func TestAReconcileAsksForWhatARollbackAsksFor(t *testing.T) {
	rollback, reconcile := shop(), shop()
	rollback.Verb, reconcile.Verb = fleet.VerbRollback, fleet.VerbReconcile
	require.Equal(t, rollback.Hash(), reconcile.Hash())
	require.NotEqual(t, shop().Hash(), rollback.Hash())
}

func TestAnOperationIsReadBackFromItsInput(t *testing.T) {
	for _, operation := range []workflows.Operation{
		shop(), workflows.PurgeInput{Service: "shop", Who: "operator", From: "somewhere"},
	} {
		decode := func(into any) error {
			switch into := into.(type) {
			case *workflows.DeployInput:
				*into = operation.(workflows.DeployInput)
			case *workflows.PurgeInput:
				*into = operation.(workflows.PurgeInput)
			}
			return nil
		}
		read, err := workflows.OperationOf(operation.Workflow(), decode)
		require.NoError(t, err)
		require.Equal(t, operation, read)
		require.Equal(t, "shop", read.ServiceName())
		require.Equal(t, "operator on somewhere", read.Memo()[workflows.MemoWho])
		require.Equal(t, read.Hash(), read.Memo()[workflows.MemoDefinition])
	}
}
