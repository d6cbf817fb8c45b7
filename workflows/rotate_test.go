package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// rotation rotates db of shop, of which api runs with version 6.
func rotation(t *testing.T, revoke bool) (*harness, workflows.RotateSecretInput) {
	s := newHarness(t)
	s.released(at(sealedShop(), 6))
	s.release.Secrets = map[string]fleet.KeptSecret{"db": kept(7)}
	in := workflows.RotateSecretInput{Former: 6, Revoke: revoke}
	in.Envelope.Ref = secrets.Ref{Service: "shop", Name: "db", Version: 7}
	in.Who = "ada"
	return s, in
}

// rotate runs a rotation.
func (s *harness) rotate(t *testing.T, in workflows.RotateSecretInput) (workflows.Rotation, error) {
	t.Helper()
	s.env.ExecuteWorkflow(workflows.RotateSecretName, in)
	require.True(t, s.env.IsWorkflowCompleted())
	var r workflows.Rotation
	if err := s.env.GetWorkflowError(); err != nil {
		require.True(t, workflows.ResultOf(err, &r), "no result in %v", err)
		return r, err
	}
	require.NoError(t, s.env.GetWorkflowResult(&r))
	return r, nil
}

func TestARotationDeploysWhatHasTheSecret(t *testing.T) {
	s, in := rotation(t, false)
	r, err := s.rotate(t, in)
	require.NoError(t, err)
	require.Equal(t, workflows.Rotation{Service: "shop", Name: "db", Version: 7, Former: 6, Deployment: 8, Components: []string{"api"}, Healthy: true}, r)
	require.Len(t, s.ran, 1)
	require.Equal(t, 7, s.ran[0].Envelopes[0].Version)
	require.Equal(t, "AddSecret shop/db v7", s.changes()[0])
	api, _ := s.committed.Definition.Component("api")
	require.Equal(t, servicedef.SecretVersions{"db": {Name: "db", Version: 7}}, api.Versions)
}

func TestARotationWaitsUntilTheOldValueIsRevoked(t *testing.T) {
	s, in := rotation(t, true)
	s.env.RegisterDelayedCallback(func() {
		require.Contains(t, s.changes(), "CommitRelease api/8,web/7", "all are healthy")
		state, err := s.env.QueryWorkflow(workflows.QueryRotation)
		require.NoError(t, err)
		var r workflows.Rotation
		require.NoError(t, state.Get(&r))
		require.True(t, r.Revoking)
		s.env.SignalWorkflow(workflows.SignalRevoked, nil)
	}, time.Hour)
	began := s.env.Now()
	r, err := s.rotate(t, in)
	require.NoError(t, err)
	require.True(t, r.Revoked)
	require.Equal(t, time.Hour, s.env.Now().Sub(began).Truncate(time.Minute))
}

func TestAFailedRotationRevokesNothingAndWithdrawsTheNewVersion(t *testing.T) {
	s, in := rotation(t, true)
	s.fail = failing("RunContainer shop-api", 0, errUnhealthy)
	_, err := s.rotate(t, in)
	require.Equal(t, fault.Unhealthy, workflows.FaultOf(err).Kind)
	changes := s.changes()
	require.Equal(t, "WithdrawSecret shop/db v7", changes[len(changes)-1])
	require.NotContains(t, changes, "CommitRelease api/8,web/7")
}

func TestANumberThatAnotherCommandHasTakenChangesNothing(t *testing.T) {
	s, in := rotation(t, true)
	s.fail = failing("AddSecret", 0, fault.New(fault.Conflict, "the next version is 8"))
	_, err := s.rotate(t, in)
	require.Equal(t, fault.Conflict, workflows.FaultOf(err).Kind)
	require.Empty(t, s.changes())
}

func TestARotationOfAStoppedServiceIsWithdrawn(t *testing.T) {
	s, in := rotation(t, true)
	s.release.Active = false
	_, err := s.rotate(t, in)
	require.Contains(t, workflows.FaultOf(err).Message, "service shop is stopped")
	require.Contains(t, s.changes(), "WithdrawSecret shop/db v7")
}

func TestARotationThatIsNotRevokedEnds(t *testing.T) {
	s, in := rotation(t, true)
	_, err := s.rotate(t, in)
	require.Contains(t, workflows.FaultOf(err).Message, "version 6 was not revoked within 30 days")
	require.NotContains(t, s.changes(), "WithdrawSecret shop/db v7", "the new version runs")
}

func TestARotationWaitsForADeployUnderWay(t *testing.T) {
	s, in := rotation(t, false)
	began := s.env.Now()
	s.env.OnWorkflow(workflows.DeployName, mock.Anything, mock.Anything).Return(nil, &temporal.ChildWorkflowExecutionAlreadyStartedError{}).Times(3)
	s.env.OnWorkflow(workflows.DeployName, mock.Anything, mock.Anything).Return(&workflows.Result{Deployment: 9}, nil)
	r, err := s.rotate(t, in)
	require.NoError(t, err)
	require.Equal(t, 9, r.Deployment)
	require.GreaterOrEqual(t, s.env.Now().Sub(began), 30*time.Second)
}
