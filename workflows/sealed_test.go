package workflows_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

func (s *harness) registerSecrets() {
	s.env.RegisterActivityWithOptions(func(ctx context.Context, in oncontrol.LoadEnvelopesInput) (oncontrol.LoadEnvelopesResult, error) {
		var result oncontrol.LoadEnvelopesResult
		var names []string
		for _, ref := range in.Refs {
			result.Envelopes = append(result.Envelopes, secrets.Envelope{Ref: ref})
			names = append(names, ref.String())
		}
		return result, s.call(ctx, strings.Join(names, ","))
	}, activity.RegisterOptions{Name: "LoadEnvelopes"})
	s.env.RegisterActivityWithOptions(func(ctx context.Context, in secrets.Addition) error {
		return s.call(ctx, in.Envelope.String())
	}, activity.RegisterOptions{Name: "AddSecret"})
	s.env.RegisterActivityWithOptions(func(ctx context.Context, in oncontrol.WithdrawSecretInput) error {
		return s.call(ctx, in.Ref.String())
	}, activity.RegisterOptions{Name: "WithdrawSecret"})
	s.env.RegisterActivityWithOptions(func(ctx context.Context, in onnode.PruneSecretsInput) (onnode.PruneSecretsResult, error) {
		return onnode.PruneSecretsResult{}, s.call(ctx, activity.GetInfo(ctx).TaskQueue+" "+strings.Join(in.Keep, ","))
	}, activity.RegisterOptions{Name: "PruneSecrets"})
}

// countSealed counts the envelopes that come with a task.
func (s *harness) countSealed(activity string, in onnode.TaskSpec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed == nil {
		s.sealed = map[string]int{}
	}
	s.sealed[activity] += len(in.Component.Envelopes)
}

// kept is a secret of shop, with versions up to newest, which rift can open.
func kept(newest int) fleet.KeptSecret {
	k := fleet.KeptSecret{Newest: newest, Versions: map[int]fleet.KeptVersion{}}
	for v := 1; v <= newest; v++ {
		k.Versions[v] = fleet.KeptVersion{Nodes: []string{"rift"}, Signer: "ed25519:ada"}
	}
	return k
}

// sealedShop is shop, whose api has the secret db as a variable, as a file and in a value.
func sealedShop() workflows.DeployInput {
	in := shop()
	api := &in.Definition.Components[0]
	api.SecretEnv = map[string]string{"PASSWORD": "db"}
	api.Secrets = []servicedef.Secret{{Source: "db"}}
	api.Env = map[string]string{"URL": "postgres://{secret:db|urlencode}@db"}
	return in
}

func at(in workflows.DeployInput, version int) workflows.DeployInput {
	in.Definition = in.Definition.WithSecrets(func(_ string, _ servicedef.SecretVersions, names []string) servicedef.SecretVersions {
		if len(names) == 0 {
			return nil
		}
		return servicedef.SecretVersions{"db": {Name: "db", Version: version}}
	})
	return in
}

func TestADeployBringsTheNewestVersionsOfSecrets(t *testing.T) {
	s := newHarness(t)
	s.release.Secrets = map[string]fleet.KeptSecret{"db": kept(7)}
	s.stale.Secrets = []fleet.SecretRef{{Name: "db", Version: 7}}
	result := s.deploy(t, sealedShop())
	require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
	changes := s.changes()
	require.Contains(t, changes, "LoadEnvelopes shop/db v7")
	require.Equal(t, "PruneSecrets node-rift mcp-shop.db.v7", changes[len(changes)-2])
	require.Len(t, s.ran, 2)
	require.Equal(t, []secrets.Envelope{{Ref: secrets.Ref{Service: "shop", Name: "db", Version: 7}}}, s.ran[0].Envelopes)
	require.Empty(t, s.ran[1].Envelopes)
	require.True(t, s.committed.Secrets)
	api, _ := s.committed.Definition.Component("api")
	require.Equal(t, servicedef.SecretVersions{"db": {Name: "db", Version: 7}}, api.Versions, "the release names them")
}

func TestANewVersionReplacesTheComponentsThatHaveIt(t *testing.T) {
	s := newHarness(t)
	s.released(at(sealedShop(), 6))
	s.release.Secrets = map[string]fleet.KeptSecret{"db": kept(7)}
	result := s.deploy(t, sealedShop())
	require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
	require.Len(t, s.ran, 1)
	require.Equal(t, "api", s.ran[0].Definition.Name)
	require.Equal(t, []plan.Change{{Field: "secret db", From: "v6", To: "v7"}}, result.Components[0].Changes)
	require.Equal(t, plan.Keep, result.Components[1].Action)
}

func TestTheSameVersionReplacesNothing(t *testing.T) {
	s := newHarness(t)
	s.released(at(sealedShop(), 7))
	s.release.Secrets = map[string]fleet.KeptSecret{"db": kept(7)}
	require.Equal(t, workflows.Unchanged, s.deploy(t, sealedShop()).Outcome)
}

func TestARollbackBringsTheFormerVersionBack(t *testing.T) {
	s := newHarness(t)
	s.released(at(sealedShop(), 7))
	s.release.Secrets = map[string]fleet.KeptSecret{"db": kept(7)}
	s.here = map[string][]string{"rift": {"r.example/api@sha256:api1", "r.example/web@sha256:web1"}}
	back := at(sealedShop(), 6)
	back.Verb, back.Release, back.Digests = fleet.VerbRollback, 5, map[string]string{"r.example/api:v1": "sha256:api1", "r.example/web:v1": "sha256:web1"}
	result := s.deploy(t, back)
	require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
	require.Equal(t, 6, s.ran[0].Envelopes[0].Version)
	require.Equal(t, []plan.Change{{Field: "secret db", From: "v7", To: "v6"}}, result.Components[0].Changes)
}

func TestARestartKeepsTheVersionsOfTheRelease(t *testing.T) {
	s := newHarness(t)
	s.released(at(sealedShop(), 6))
	s.release.Secrets = map[string]fleet.KeptSecret{"db": kept(7)}
	in := shop()
	in.Verb, in.Definition = fleet.VerbRestart, servicedef.Service{Name: "shop"}
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
	require.Equal(t, 6, s.ran[0].Envelopes[0].Version)
}

func TestADeployOfOneComponentLeavesTheVersionsOfOthers(t *testing.T) {
	s := newHarness(t)
	in := sealedShop()
	in.Definition.Components[1].Secrets = []servicedef.Secret{{Source: "db"}}
	s.released(at(in, 6))
	s.release.Secrets = map[string]fleet.KeptSecret{"db": kept(7)}
	in.Only = []string{"web"}
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
	require.Len(t, s.ran, 1)
	versions := func(name string) int {
		c, _ := s.committed.Definition.Component(name)
		return c.Versions["db"].Version
	}
	require.Equal(t, 6, versions("api"))
	require.Equal(t, 7, versions("web"))
}

func TestADeployIsRefusedBeforeAnythingStopsWhereASecretCannotBe(t *testing.T) {
	elsewhere := kept(7)
	elsewhere.Versions[7] = fleet.KeptVersion{Nodes: []string{"orion"}, Signer: "ed25519:ada"}
	gone := kept(7)
	delete(gone.Versions, 7)
	for name, c := range map[string]struct {
		secret  fleet.KeptSecret
		refuses string
		kind    fault.Kind
		want    []string
	}{
		"a secret that is not sealed to the node": {elsewhere, "", fault.Unauthorized, []string{
			"component api needs version 7 of the secret shop/db on node rift, to whose key it is not sealed", "mcp secret rekey shop",
		}},
		"a version that is gone": {gone, "", fault.NotFound, []string{"which is not kept any more", "mcp secret set shop/db"}},
		"a node that takes none": {kept(7), "node rift takes no managed secret", fault.Unauthorized, []string{
			"component api needs version 7 of the secret shop/db: node rift takes no managed secret",
		}},
		"a secret that is not set": {fleet.KeptSecret{}, "", fault.Invalid, []string{
			"a variable of component api has the secret db in its value, and service shop has none of that name", "mcp secret set shop/db",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.refuses = c.refuses
			s.release.Secrets = map[string]fleet.KeptSecret{"db": c.secret}
			in := sealedShop()
			if c.kind == fault.Invalid {
				in.Definition.Components[0].SecretEnv, in.Definition.Components[0].Secrets = nil, nil
			}
			result := s.deploy(t, in)
			require.Equal(t, workflows.Failed, result.Outcome)
			require.Equal(t, c.kind, result.Error.Kind)
			for _, want := range c.want {
				require.Contains(t, fmt.Sprint(result.Error.Message, result.Error.Hint), want)
			}
			require.Equal(t, []string{"FinishDeployment failed"}, s.changes())
		})
	}
}

func TestANodeThatIsTooOldForSecretsIsRefused(t *testing.T) {
	s := newHarness(t)
	s.unknown = servicedef.KeySealed
	s.release.Secrets = map[string]fleet.KeptSecret{"db": kept(7)}
	result := s.deploy(t, sealedShop())
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Contains(t, result.Error.Message, "component api sets secrets of the service, which the mcp of node rift does not know")
}

func TestAStepHasSecretsToo(t *testing.T) {
	s := newHarness(t)
	s.release.Secrets = map[string]fleet.KeptSecret{"db": kept(7), "admin": kept(2)}
	in := sealedShop()
	in.Definition.Steps = []servicedef.Step{{
		Name: "migrate", When: servicedef.StepBefore, Component: "api", Cmd: []string{"migrate"}, Secrets: []servicedef.Secret{{Source: "admin"}},
	}}
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
	require.Contains(t, s.changes(), "LoadEnvelopes shop/admin v2,shop/db v7")
	require.Equal(t, map[string]int{"StartTask": 2, "AwaitTask": 0, "RemoveTask": 0}, s.sealed, "only what creates the container has them")
	require.Equal(t, servicedef.SecretVersions{"db": {Name: "db", Version: 7}, "admin": {Name: "admin", Version: 2}}, s.committed.Definition.Steps[0].Versions)
}

func TestAnUndeployLeavesNoSecretOnANode(t *testing.T) {
	s := newHarness(t)
	s.released(at(sealedShop(), 6))
	s.release.Secrets = map[string]fleet.KeptSecret{"db": kept(6)}
	s.stale.Secrets = []fleet.SecretRef{{Name: "db", Version: 6}}
	in := shop()
	in.Verb, in.Definition = fleet.VerbUndeploy, servicedef.Service{Name: "shop"}
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
	changes := s.changes()
	require.Contains(t, changes, "PruneSecrets node-rift")
}

func TestANodeThatHasBootedGetsTheSecretsOfItsContainersAgain(t *testing.T) {
	s := newHarness(t)
	in := at(sealedShop(), 6)
	for i := range in.Definition.Components {
		in.Definition.Components[i].Restart = "always"
	}
	s.released(in)
	s.release.Secrets = map[string]fleet.KeptSecret{"db": kept(7)}
	for i := range s.nodes["rift"] {
		s.nodes["rift"][i].Running = false
	}
	s.revive(t, "shop")
	require.NoError(t, s.env.GetWorkflowError())
	require.Len(t, s.ran, 1)
	require.Equal(t, "api", s.ran[0].Definition.Name)
	require.Equal(t, 6, s.ran[0].Envelopes[0].Version)
}

// building is shop, whose api is to be built with the secret token of the service.
func building(s *harness) workflows.DeployInput {
	delete(s.images, "r.example/api:v1")
	in := shop()
	in.Definition.Build.Images["api"] = servicedef.ImageBuild{Secrets: map[string]servicedef.BuildSecret{"npm": {Secret: "token"}}}
	return in
}

func TestABuildSecretThatIsNotSetIsRefusedBeforeAnythingChanges(t *testing.T) {
	for name, secret := range map[string]fleet.KeptSecret{"never set": {}, "removed": {Newest: 0, Versions: nil}} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.release.Secrets = map[string]fleet.KeptSecret{"token": secret}
			result := s.deploy(t, building(s))
			require.Equal(t, workflows.Failed, result.Outcome)
			require.Equal(t, []string{"FinishDeployment failed"}, s.changes())

			planning := newHarness(t)
			planning.env.ExecuteWorkflow(workflows.PlanName, building(planning))
			refused := attempt.FaultOf(planning.env.GetWorkflowError())
			require.Equal(t, fault.NotFound, refused.Kind)
			require.Equal(t, "a build needs the secret shop/token, which is not set", refused.Message)
			require.Equal(t, "set it: mcp secret set shop/token", refused.Hint)
			require.Equal(t, [2]string{refused.Message, refused.Hint}, [2]string{result.Error.Message, result.Error.Hint})
			require.Equal(t, refused.Kind, result.Error.Kind)
			require.Empty(t, planning.changes())
		})
	}
}

func TestAPlanWithABuildSecretThatIsSetIsMade(t *testing.T) {
	s := newHarness(t)
	s.release.Secrets = map[string]fleet.KeptSecret{"token": {Newest: 1}}
	s.env.ExecuteWorkflow(workflows.PlanName, building(s))
	require.NoError(t, s.env.GetWorkflowError())
	var planned workflows.PlanResult
	require.NoError(t, s.env.GetWorkflowResult(&planned))
	require.Equal(t, []string{"r.example/api:v1"}, planned.Builds)
}
