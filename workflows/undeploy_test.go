package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// undeploy asks for an undeploy of the shop.
func undeploy() workflows.DeployInput {
	return workflows.DeployInput{
		Verb: fleet.VerbUndeploy, Definition: servicedef.Service{Name: "shop"},
		Who: "operator", From: "somewhere", Deadline: 10 * time.Minute,
	}
}

// undeployed sets up the shop, deployed and undeployed.
func (s *harness) undeployed() {
	s.released(shop())
	definition := plan.Undeployed(s.release)
	s.release = fleet.Release{Service: "shop", Number: 8, Newest: 8, Definition: &definition}
	s.nodes["rift"] = nil
}

func TestAnUndeployRemovesEveryComponent(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	result := s.deploy(t, undeploy())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.False(t, result.Dirty)
	require.Equal(t, 8, result.Deployment)
	require.Equal(t, []string{
		"CutOver shop-api,shop-web",
		"CommitRelease",
		"Retire shop-web", // it depends on the other
		"Retire shop-api",
		"ReleasePorts",
		"FinishDeployment succeeded",
	}, s.changes())
	require.NotContains(t, strings.Join(s.calls, "\n"), "ImageExists")
	require.Less(t, result.ElapsedMS, time.Second.Milliseconds(), "there is no successor, and nothing to drain for")
	require.Equal(t, []plan.Action{plan.Remove, plan.Remove}, []plan.Action{result.Components[0].Action, result.Components[1].Action})
}

func TestAStoppedServiceIsRemovedToo(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.release.Active = false
	for name, m := range s.release.Components {
		m.Active = false
		s.release.Components[name] = m
	}
	for i := range s.nodes["rift"] {
		s.nodes["rift"][i].Running = false
	}
	require.Equal(t, workflows.Succeeded, s.deploy(t, undeploy()).Outcome)
	require.Contains(t, s.calls, "Retire shop-web")
	require.Contains(t, s.calls, "Retire shop-api")
}

func TestAnUndeployOfWhatIsUndeployedChangesNothing(t *testing.T) {
	s := newHarness(t)
	s.undeployed()
	result := s.deploy(t, undeploy())
	require.Equal(t, workflows.Unchanged, result.Outcome)
	require.Equal(t, []string{"FinishDeployment unchanged"}, s.changes())
}

func TestAServiceThatWasNeverDeployedIsNotOpened(t *testing.T) {
	s := newHarness(t)
	result := s.deploy(t, undeploy())
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Equal(t, fault.NotFound, result.Error.Kind)
	require.Equal(t, "service shop has never been deployed", result.Error.Message)
	require.Equal(t, []string{"LoadRelease shop"}, s.calls)
}

func TestAnUndeployOfADirtyServiceTakesItsLeftovers(t *testing.T) {
	late := fleet.Container{Name: "shop-api.next", Service: "shop", Component: "api", Deployment: 8, Running: true}

	t.Run("beside its release", func(t *testing.T) {
		s := newHarness(t)
		s.released(shop())
		s.release.Dirty, s.release.Newest, s.release.Touched = true, 8, []string{"orion", "rift"}
		s.nodes["orion"] = []fleet.Container{late}
		result := s.deploy(t, undeploy())
		require.Equal(t, workflows.Succeeded, result.Outcome)
		require.False(t, result.Dirty)
		require.Equal(t, "Restore orion remove[shop-api.next] rename[] start[]", s.changes()[0])
		require.Contains(t, s.calls, "Retire shop-api")
	})
	t.Run("where it has no release", func(t *testing.T) {
		s := newHarness(t)
		s.release = fleet.Release{Service: "shop", Newest: 8, Dirty: true, Touched: []string{"rift"}}
		s.nodes["rift"] = []fleet.Container{late}
		result := s.deploy(t, undeploy())
		require.Equal(t, workflows.Succeeded, result.Outcome)
		require.False(t, result.Dirty)
		require.Equal(t, []string{
			"Restore rift remove[shop-api.next] rename[] start[]",
			"CommitRelease", "ReleasePorts", "FinishDeployment succeeded",
		}, s.changes())
	})
}

func TestAnUndeployThatIsCancelledInTimeTouchesNothing(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.fail = func(call string, _ int32) error {
		if strings.HasPrefix(call, "Survey") {
			s.env.CancelWorkflow()
		}
		return nil
	}
	result := s.deploy(t, undeploy())
	require.Equal(t, workflows.Cancelled, result.Outcome)
	require.False(t, result.Dirty)
	require.Equal(t, []string{"FinishDeployment cancelled"}, s.changes())
	require.Equal(t, "the undeploy of shop was cancelled", result.Error.Message)
}

// TestANodeThatIsAwayIsLeftToMend runs the undeploy and, when the node is back, the
// Mend that it starts.
func TestANodeThatIsAwayIsLeftToMend(t *testing.T) {
	s := newHarness(t)
	in := shop()
	in.Definition.Components[1].Node = "orion"
	s.released(in)
	away := fault.New(fault.Unavailable, "podman does not answer")
	// The survey of the undeploy gives up; from then on the node is back, and its
	// containers belong to no release any more.
	s.fail = func(call string, _ int32) error {
		switch {
		case call == "Survey orion" && s.release.Number == 7:
			return away
		case call == "CommitRelease":
			definition := plan.Undeployed(s.release)
			s.release = fleet.Release{Service: "shop", Number: 8, Newest: 8, NewestRun: "default-test-run-id", Dirty: true, Definition: &definition}
		}
		return nil
	}
	result := s.deploy(t, undeploy())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.True(t, result.Dirty)
	require.Equal(t, []string{"retire on orion: the node does not answer"}, result.Undone)
	require.Equal(t, []string{
		"CutOver shop-api", "CommitRelease", "Retire shop-api", "ReleasePorts", "FinishDeployment succeeded",
	}, s.changes()[:5])
	require.Subset(t, s.changes(), []string{"Restore orion remove[shop-web] rename[] start[]", "MarkMended shop/8"})
}

func TestANodeThatIsBackSoonIsWaitedFor(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.fail = failing("Survey", 6, fault.New(fault.Unavailable, "podman does not answer"))
	result := s.deploy(t, undeploy())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.False(t, result.Dirty)
}

func TestANodeThatFailsToRetireIsAskedOnce(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.fail = failing("Retire", 0, fault.New(fault.Unavailable, "podman does not answer"))
	result := s.deploy(t, undeploy())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.True(t, result.Dirty)
	require.Equal(t, []string{"retire on rift: podman does not answer"}, result.Undone)
}

func TestAServiceComesBackAfterAnUndeploy(t *testing.T) {
	tests := map[string]struct {
		change func(in *workflows.DeployInput)
		commit string
	}{
		"by a deploy":         {func(*workflows.DeployInput) {}, "CommitRelease api/9,web/9"},
		"by one of one part":  {func(in *workflows.DeployInput) { in.Only = []string{"api"} }, "CommitRelease api/9"},
		"by its last release": {func(in *workflows.DeployInput) { in.Verb, in.Release = fleet.VerbRollback, 7 }, "CommitRelease api/9,web/9"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.undeployed()
			in := shop()
			test.change(&in)
			result := s.deploy(t, in)
			require.Equal(t, workflows.Succeeded, result.Outcome)
			require.Contains(t, s.calls, test.commit)
			require.Equal(t, plan.Create, result.Components[0].Action)
		})
	}
}

func TestHashDistinguishesAnUndeployFromADeploy(t *testing.T) {
	again, deploy := undeploy(), undeploy()
	again.Who, deploy.Verb = "another", fleet.VerbDeploy
	require.Equal(t, undeploy().Hash(), again.Hash())
	require.NotEqual(t, undeploy().Hash(), deploy.Hash())
}

func TestAnUndeployNeedsNoNodeThatFailsToAnswer(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.fail = failing("Survey rift", 0, fault.New(fault.Invalid, "it makes no sense"))
	result := s.deploy(t, undeploy())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.True(t, result.Dirty)
	require.Equal(t, []string{"retire on rift: it makes no sense"}, result.Undone)
}
