package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

func TestVerbs(t *testing.T) {
	for _, test := range []struct {
		verb       workflows.Verb
		participle string
		removes    bool
		repeats    bool
	}{
		{verb: workflows.VerbDeploy, participle: "deployed"},
		{verb: workflows.VerbRollback, participle: "deployed"},
		{verb: workflows.VerbReconcile, participle: "deployed", repeats: true},
		{verb: workflows.VerbUndeploy, participle: "undeployed", removes: true, repeats: true},
		{verb: workflows.VerbAdopt, participle: "adopted"},
		{verb: workflows.VerbStop, participle: "stopped", repeats: true},
		{verb: workflows.VerbStart, participle: "started", repeats: true},
		{verb: workflows.VerbRestart, participle: "restarted", repeats: true},
		{verb: workflows.VerbRotate, participle: "rotated"},
	} {
		t.Run(string(test.verb), func(t *testing.T) {
			in := workflows.DeployInput{Verb: test.verb, Definition: servicedef.Service{Name: "shop"}, Who: "operator"}
			require.Equal(t, test.participle, in.Participle())
			require.Equal(t, string(test.verb)+" shop for operator", in.Summary())
			require.Equal(t, test.removes, in.Removes())
			require.Equal(t, test.repeats, test.verb.Repeats())
		})
	}
	require.Equal(t, []string{"deploy", "rollback", "reconcile", "undeploy", "adopt", "stop", "start", "restart", "rotate"}, workflows.Verbs())
}

func TestAnUnknownVerbIsInvalid(t *testing.T) {
	for _, verb := range []workflows.Verb{"", "purge"} {
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
	rollback.Verb, reconcile.Verb = workflows.VerbRollback, workflows.VerbReconcile
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
