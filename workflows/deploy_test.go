package workflows_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

func TestAFirstDeployRunsTheComponentsInOrder(t *testing.T) {
	s := newHarness(t)
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, 1, result.Deployment)
	require.Equal(t, []string{
		"AllocatePorts api",
		"RunContainer shop-api r.example/api@sha256:api1",
		"RunContainer shop-web r.example/web@sha256:web1",
		"CutOver shop-api,shop-web",
		"CommitRelease api/1,web/1",
		"FinishDeployment succeeded",
	}, s.changes())
	require.Equal(t, map[string]int{"rest": 20000}, result.Components[0].Ports)
}

func TestAnUnchangedServiceIsOnlySurveyed(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Unchanged, result.Outcome)
	require.Equal(t, []string{"FinishDeployment unchanged"}, s.changes())
}

func TestAMissingImageIsBuiltPushedAndRunByDigest(t *testing.T) {
	s := newHarness(t)
	delete(s.images, "r.example/api:v1")
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, []string{
		"Build r.example/api:v1 from shop/Containerfile.api",
		"Push r.example/api:v1",
		"AllocatePorts api",
		"RunContainer shop-api r.example/api@sha256:built",
	}, s.changes()[:4])
	require.True(t, result.Components[0].Built)
	require.True(t, result.Components[0].Pushed)
	require.False(t, result.Components[1].Built)
}

func TestAMissingImageThatCannotBeBuiltEndsTheDeploy(t *testing.T) {
	s := newHarness(t)
	delete(s.images, "r.example/web:v1")
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Equal(t, fault.NotFound, result.Error.Kind)
	require.Equal(t, "image r.example/web:v1 is not in the image registry, and shop.toml names no Containerfile for it", result.Error.Message)
	require.Equal(t, "add web to [build.images] in shop.toml, or push the image", result.Error.Hint)
	require.Equal(t, []string{"FinishDeployment failed"}, s.changes())
}

func TestASourceThatDoesNotBuildIsNotRetriedAndTouchesNoNode(t *testing.T) {
	s := newHarness(t)
	delete(s.images, "r.example/api:v1")
	broken := fault.New(fault.Invalid, "build r.example/api:v1: STEP 2/3: exit status 1")
	broken.Log = []string{"main.go:3: undefined: x"}
	attempts := 0
	s.fail = func(call string, _ int32) error {
		if strings.HasPrefix(call, "Build") {
			attempts++
			return broken
		}
		return nil
	}
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Equal(t, broken.Message, result.Error.Message)
	require.Equal(t, broken.Log, result.Error.Log)
	require.Equal(t, 1, attempts)
	require.Equal(t, []string{"FinishDeployment failed"}, s.changes())
}

func TestAPushIsRetriedAloneAndThenUntagged(t *testing.T) {
	down := fault.New(fault.Unavailable, "push: connection refused")

	t.Run("a registry that comes back costs only time", func(t *testing.T) {
		s := newHarness(t)
		delete(s.images, "r.example/api:v1")
		s.fail = failing("Push", 4, down)
		result := s.deploy(t, shop())
		require.Equal(t, workflows.Succeeded, result.Outcome)
		require.Equal(t, 1, strings.Count(strings.Join(s.calls, "\n"), "Build "))
	})
	t.Run("after the deadline the local tag goes", func(t *testing.T) {
		s := newHarness(t)
		delete(s.images, "r.example/api:v1")
		s.fail = failing("Push", 0, down)
		result := s.deploy(t, shop())
		require.Equal(t, workflows.Failed, result.Outcome)
		require.Contains(t, result.Error.Message, "connection refused")
		require.InDelta(t, 10*time.Minute.Milliseconds(), result.ElapsedMS, float64(time.Minute.Milliseconds()), "the deadline")
		require.Equal(t, []string{
			"Build r.example/api:v1 from shop/Containerfile.api",
			"Untag r.example/api:v1",
			"FinishDeployment failed",
		}, s.changes())
	})
}

func TestAnUnhealthyContainerPutsEveryComponentBack(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	in := shop()
	in.Force = true
	s.fail = failing("RunContainer shop-web", 0, errUnhealthy)
	result := s.deploy(t, in)
	require.Equal(t, workflows.Failed, result.Outcome)
	require.False(t, result.Dirty)
	require.Equal(t, fault.Unhealthy, result.Error.Kind)
	require.Equal(t, errUnhealthy.Message, result.Error.Message)
	require.Equal(t, []string{
		"AllocatePorts api",
		"RunContainer shop-api r.example/api@sha256:api1",
		"StopContainer shop-web",
		"Restore rift remove[shop-web.next shop-api.next] rename[] start[shop-web]",
		"ReleasePorts",
		"FinishDeployment failed",
	}, s.changes())
}

func TestAnUndoThatFailsMakesTheServiceDirtyAndKeepsTheCause(t *testing.T) {
	s := newHarness(t)
	s.fail = func(call string, _ int32) error {
		switch {
		case strings.HasPrefix(call, "RunContainer shop-web"):
			return errUnhealthy
		case strings.HasPrefix(call, "Restore"):
			return fault.New(fault.Unavailable, "podman does not answer")
		}
		return nil
	}
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Failed, result.Outcome)
	require.True(t, result.Dirty)
	require.Equal(t, errUnhealthy.Message, result.Error.Message)
	require.Len(t, result.Undone, 1)
	require.Contains(t, result.Undone[0], "on rift remove shop-web.next, shop-api.next: ")
}

func TestTheFaultOfADeadNodeHasAHint(t *testing.T) {
	s := newHarness(t)
	s.env.OnActivity("Survey", mock.Anything, mock.Anything).Return(onnode.SurveyResult{}, temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil))
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Equal(t, "node rift: no worker polls node-rift", result.Error.Message)
	require.Equal(t, "start one on that host: mcp worker --node rift", result.Error.Hint)
	require.Equal(t, []string{"FinishDeployment failed"}, s.changes())
}

func TestATakenPortIsSetAside(t *testing.T) {
	taken := fault.New(fault.PortInUse, "port 20000 is in use")
	taken.Port = 20000

	t.Run("another is allocated for a route", func(t *testing.T) {
		s := newHarness(t)
		first := true
		s.fail = func(call string, _ int32) error {
			if first && strings.HasPrefix(call, "RunContainer shop-api") {
				first = false
				return taken
			}
			return nil
		}
		result := s.deploy(t, shop())
		require.Equal(t, workflows.Succeeded, result.Outcome)
		require.Equal(t, map[string]int{"rest": 20001}, result.Components[0].Ports)
	})
	t.Run("a route gives up after some tries", func(t *testing.T) {
		s := newHarness(t)
		s.fail = failing("RunContainer shop-api", 0, taken)
		result := s.deploy(t, shop())
		require.Equal(t, workflows.Failed, result.Outcome)
		require.Equal(t, 5, strings.Count(strings.Join(s.calls, "\n"), "AllocatePorts api"))
	})
	t.Run("a port that the definition names is not replaced", func(t *testing.T) {
		s := newHarness(t)
		in := shop()
		in.Definition.Components[0].Ports = []string{"20000:80"}
		s.fail = failing("RunContainer shop-api", 0, taken)
		result := s.deploy(t, in)
		require.Equal(t, workflows.Failed, result.Outcome)
		require.Equal(t, fault.PortInUse, result.Error.Kind)
		require.Equal(t, "rift", result.Error.Node)
		require.Equal(t, 1, strings.Count(strings.Join(s.calls, "\n"), "AllocatePorts api"))
	})
}

func TestACancelledDeployPutsBack(t *testing.T) {
	s := newHarness(t)
	s.fail = failing("RunContainer shop-web", 0, fault.New(fault.Unavailable, "podman does not answer"))
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, 20*time.Second)
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Cancelled, result.Outcome)
	require.False(t, result.Dirty)
	require.Equal(t, []string{
		"Restore rift remove[shop-web.next shop-api.next] rename[] start[]",
		"ReleasePorts",
		"FinishDeployment cancelled",
	}, s.changes()[2:])
}

func TestACancelAfterTheCutOverComesTooLate(t *testing.T) {
	s := newHarness(t)
	s.fail = failing("CommitRelease", 5, fault.New(fault.Unavailable, "Postgres does not answer"))
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Second)
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Succeeded, result.Outcome)
}

func TestWhatCannotBeRetiredMakesASuccessDirty(t *testing.T) {
	s := newHarness(t)
	s.fail = failing("Retire", 0, fault.New(fault.Unavailable, "podman does not answer"))
	s.released(shop())
	in := shop()
	in.Force = true
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.True(t, result.Dirty)
	require.Equal(t, []string{"retire on rift: podman does not answer"}, result.Undone)
	require.Equal(t, []fleet.NotRetired{
		{Node: "rift", Containers: []string{"shop-api.prev", "shop-web.prev"}, Problem: "podman does not answer"},
	}, s.finished.NotRetired)
}

func TestPredecessorsServeWhileTheyDrain(t *testing.T) {
	for _, c := range []struct {
		name  string
		order servicedef.Order
		drain time.Duration
		want  time.Duration
	}{
		{"at once", servicedef.StartFirst, 0, 0},
		{"for a while", servicedef.StartFirst, 5 * time.Second, 5 * time.Second},
		{"what has stopped already", servicedef.StopFirst, 5 * time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newHarness(t)
			before := shop()
			before.Definition.Components[0].Drain = servicedef.Duration(c.drain)
			s.released(before)
			api := s.release.Components["api"]
			api.Routes = []fleet.Route{{Name: "rest", HostPort: 20000}}
			s.release.Components["api"] = api
			in := shop()
			in.Force = true
			in.Definition.Components[0].Order = c.order
			in.Definition.Components[0].Drain = servicedef.Duration(time.Minute)
			var committed, retired time.Time
			s.fail = func(call string, _ int32) error {
				switch {
				case strings.HasPrefix(call, "CommitRelease"):
					committed = s.env.Now()
				case strings.HasPrefix(call, "Retire"):
					retired = s.env.Now()
				}
				return nil
			}
			result := s.deploy(t, in)
			require.Equal(t, workflows.Succeeded, result.Outcome)
			require.InDelta(t, c.want, retired.Sub(committed), float64(500*time.Millisecond))
			require.Less(t, result.ElapsedMS, int64(500), "the deploy has succeeded before that")
			require.Empty(t, result.Retiring)
			require.True(t, s.committed.Succeeds)
		})
	}
}

func TestAFailedDeployDoesNotMakeADirtyServiceClean(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.release.Dirty = true
	delete(s.images, "r.example/web:v1")
	require.True(t, s.deploy(t, shop()).Dirty)

	s = newHarness(t)
	s.released(shop())
	s.release.Dirty = true
	require.False(t, s.deploy(t, shop()).Dirty)
}

func TestARegistryThatForgotDeploymentsCatchesUp(t *testing.T) {
	s := newHarness(t)
	s.newest = 57
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, 58, result.Deployment)
	require.Contains(t, s.calls, "Renumber 57")
	surveys := slices.DeleteFunc(slices.Clone(s.calls), func(call string) bool { return call != "Survey rift" })
	require.Len(t, surveys, 2, "the node must have seen the new number before its answer counts")
	require.Contains(t, s.calls, "CommitRelease api/58,web/58")
}

func TestANodeThatAsksForAbsurdNumbersIsNotBelieved(t *testing.T) {
	for _, number := range []int{math.MaxInt, math.MaxInt32 + 1, fleet.MaxAhead + 2, -1, math.MinInt} {
		s := newHarness(t)
		s.newest = number
		result := s.deploy(t, shop())
		require.Equal(t, workflows.Succeeded, result.Outcome)
		require.Equal(t, 1, result.Deployment, "%d", number)
	}
}

func TestAServiceCanLeaveANodeThatIsBroken(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.nodes["orion"] = nil
	s.fail = failing("Survey rift", 3, fault.New(fault.Unavailable, "podman does not answer")) // until Mend is at it
	in := shop()
	for i := range in.Definition.Components {
		in.Definition.Components[i].Node = "orion"
	}
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.True(t, result.Dirty)
	require.Equal(t, []string{"retire on rift: the node does not answer"}, result.Undone)
	require.Equal(t, []fleet.NotRetired{
		{Node: "rift", Containers: []string{"shop-api", "shop-web"}, Problem: "the node does not answer"},
	}, s.finished.NotRetired)
}

func TestLeftoversArePutRightFirst(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.nodes["rift"] = append(s.nodes["rift"], fleet.Container{Name: "shop-api.next", Service: "shop", Component: "api", Deployment: 6, Running: true})
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, "Restore rift remove[shop-api.next] rename[] start[]", s.changes()[0])
	require.NotContains(t, strings.Join(s.calls, "\n"), "RunContainer")
}

func TestAnInactiveServiceIsStoppedAndKept(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	in := shop()
	in.Definition.Active = false
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.ElementsMatch(t, []string{"StopContainer shop-api", "StopContainer shop-web"}, s.changes()[:2])
	require.Equal(t, "CommitRelease api/7,web/7", s.changes()[2])
	require.NotContains(t, strings.Join(s.calls, "\n"), "ImageExists")
	require.NotContains(t, strings.Join(s.calls, "\n"), "Retire")
}

func TestARemovedComponentIsRetired(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	in := shop()
	in.Definition.Components = in.Definition.Components[:1]
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, []string{
		"CutOver shop-web", "CommitRelease api/7", "Retire shop-web", "ReleasePorts", "FinishDeployment succeeded",
	}, s.changes())
}

func TestOneComponentIsDeployedAlone(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	in := shop()
	in.Force, in.Only = true, []string{"api"}
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, "CutOver shop-api", s.changes()[2])
	require.Equal(t, "CommitRelease api/8,web/7", s.changes()[3])
}

func TestAnOutageIsWaitedForUntilTheDeadline(t *testing.T) {
	s := newHarness(t)
	in := shop()
	in.Deadline = 3 * time.Minute
	s.fail = failing("ImageExists", 0, fault.New(fault.Unavailable, "r.example does not answer"))
	result := s.deploy(t, in)
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Equal(t, fault.Unavailable, result.Error.Kind)
	require.Equal(t, "gave up after 3m0s: r.example does not answer", result.Error.Message)
	require.InDelta(t, 3*time.Minute.Milliseconds(), result.ElapsedMS, float64(15*time.Second.Milliseconds()))
	require.Equal(t, []string{"FinishDeployment failed"}, s.changes())
}

func TestAPlanChangesNothing(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	delete(s.images, "r.example/api:v1")
	s.env.ExecuteWorkflow(workflows.PlanName, shop())
	require.NoError(t, s.env.GetWorkflowError())
	var result workflows.PlanResult
	require.NoError(t, s.env.GetWorkflowResult(&result))
	require.Equal(t, []string{"r.example/api:v1"}, result.Builds)
	require.Equal(t, plan.Replace, result.Plan.Steps[0].Action)
	require.Empty(t, s.changes())
	require.NotContains(t, strings.Join(s.calls, "\n"), "BeginDeployment")
}

// A hint never says to remove what is another service's.
func TestANameThatIsTaken(t *testing.T) {
	for owner, hint := range map[string]string{
		"":       "remove or rename it on rift, or give the component another name",
		"mc-dns": "give the component another name, or another node",
	} {
		s := newHarness(t)
		s.nodes["rift"] = []fleet.Container{{Name: "shop-api", Service: owner, Running: true}}
		result := s.deploy(t, shop())
		require.Equal(t, fault.Conflict, result.Error.Kind)
		require.Equal(t, hint, result.Error.Hint)
	}
}

func TestABuildMakesOnlyWhatIsMissing(t *testing.T) {
	// Builds are found by their outcome, as deploys are.
	findable := func(s *harness, outcome workflows.Outcome) {
		s.env.OnUpsertTypedSearchAttributes(temporal.NewSearchAttributes(workflows.SearchOutcome.ValueSet(string(outcome)))).Return(nil).Once()
	}
	build := func(s *harness, in workflows.BuildInput) workflows.BuildResult {
		s.env.ExecuteWorkflow(workflows.BuildName, in)
		require.NoError(t, s.env.GetWorkflowError())
		s.env.AssertExpectations(t)
		var result workflows.BuildResult
		require.NoError(t, s.env.GetWorkflowResult(&result))
		return result
	}
	in := workflows.BuildInput{Definition: shop().Definition, Builder: "orion", Deadline: time.Minute}

	t.Run("an image that exists is left alone", func(t *testing.T) {
		s := newHarness(t)
		findable(s, workflows.Unchanged)
		result := build(s, in)
		require.Equal(t, workflows.Unchanged, result.Outcome)
		require.Equal(t, []workflows.ImageResult{{Image: "r.example/api:v1", Digest: "sha256:api1"}}, result.Images)
	})
	t.Run("a missing one is built and pushed", func(t *testing.T) {
		s := newHarness(t)
		delete(s.images, "r.example/api:v1")
		findable(s, workflows.Succeeded)
		result := build(s, in)
		require.Equal(t, workflows.Succeeded, result.Outcome)
		require.Equal(t, "sha256:built", result.Images[0].Digest)
	})
	t.Run("force builds it again", func(t *testing.T) {
		s := newHarness(t)
		forced := in
		forced.Force = true
		require.Equal(t, workflows.Succeeded, build(s, forced).Outcome)
	})
	t.Run("one that fails is found as failed", func(t *testing.T) {
		s := newHarness(t)
		delete(s.images, "r.example/api:v1")
		findable(s, workflows.Failed)
		s.fail = func(call string, _ int32) error {
			if strings.HasPrefix(call, "Build ") {
				return fault.New(fault.Invalid, "STEP 2 failed")
			}
			return nil
		}
		s.env.ExecuteWorkflow(workflows.BuildName, in)
		require.ErrorContains(t, s.env.GetWorkflowError(), "STEP 2 failed")
		s.env.AssertExpectations(t)
	})
}

func TestHashDistinguishesDeploys(t *testing.T) {
	in := shop()
	same := shop()
	same.Who, same.Definition.File = "another", "elsewhere.toml"
	forced := shop()
	forced.Force = true
	changed := shop()
	changed.Definition.Components = []servicedef.Component{in.Definition.Components[0]}
	require.Equal(t, in.Hash(), same.Hash())
	require.NotEqual(t, in.Hash(), forced.Hash())
	require.NotEqual(t, in.Hash(), changed.Hash())
}
