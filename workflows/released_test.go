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

// request asks for a stop, a start or a restart of the shop, or of components.
func request(verb fleet.Verb, only ...string) workflows.DeployInput {
	return workflows.DeployInput{
		Verb: verb, Definition: servicedef.Service{Name: "shop"}, Only: only,
		Who: "operator", From: "somewhere", Deadline: 10 * time.Minute,
	}
}

// stopped sets up the shop, deployed and stopped.
func (s *harness) stopped() {
	s.released(shop())
	s.release.Active, s.release.Definition.Active = false, false
	for name, m := range s.release.Components {
		m.Active = false
		s.release.Components[name] = m
	}
	for i := range s.nodes["rift"] {
		s.nodes["rift"][i].Running = false
	}
}

func TestStopStartAndRestartKeepTheRelease(t *testing.T) {
	running := func(s *harness) { s.released(shop()) }
	start := []string{
		"AllocatePorts api", "RunContainer shop-api r.example/api@sha256:api1",
		"StopContainer shop-web", "RunContainer shop-web r.example/web@sha256:web1",
		"CutOver shop-api,shop-web", "CommitRelease api/8,web/8", "Retire shop-api,shop-web", "ReleasePorts",
	}
	tests := map[string]struct {
		given   func(s *harness)
		in      workflows.DeployInput
		changes []string // none where there is nothing to do
		active  bool
	}{
		"a stop": {given: running, in: request(fleet.VerbStop),
			changes: []string{"StopContainer shop-api", "StopContainer shop-web", "CommitRelease api/7,web/7", "ReleasePorts"}},
		"a stop of a stopped release":  {given: (*harness).stopped, in: request(fleet.VerbStop)},
		"a start":                      {given: (*harness).stopped, in: request(fleet.VerbStart), active: true, changes: start},
		"a start of a running release": {given: running, in: request(fleet.VerbStart)},
		"a restart":                    {given: running, in: request(fleet.VerbRestart), active: true, changes: start},
		"a restart of one component": {given: running, in: request(fleet.VerbRestart, "api"), active: true, changes: []string{
			"AllocatePorts api", "RunContainer shop-api r.example/api@sha256:api1",
			"CutOver shop-api", "CommitRelease api/8,web/7", "Retire shop-api", "ReleasePorts",
		}},
		"a start after a stop by hand": {
			given: func(s *harness) { s.released(shop()); s.nodes["rift"][0].Running = false },
			in:    request(fleet.VerbStart), active: true,
			changes: []string{
				"AllocatePorts api", "RunContainer shop-api r.example/api@sha256:api1",
				"CutOver shop-api", "CommitRelease api/8,web/7", "Retire shop-api", "ReleasePorts",
			},
		},
		"a restart of a partly deployed release": {
			given: func(s *harness) {
				s.released(shop())
				delete(s.release.Components, "web")
				s.nodes["rift"] = s.nodes["rift"][:1]
			},
			in: request(fleet.VerbRestart), active: true,
			changes: []string{
				"AllocatePorts api", "RunContainer shop-api r.example/api@sha256:api1",
				"CutOver shop-api", "CommitRelease api/8", "Retire shop-api", "ReleasePorts",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			test.given(s)
			s.images = map[string]string{"r.example/api:v1": "sha256:moved"} // and the other is gone
			result := s.deploy(t, test.in)
			outcome := workflows.Succeeded
			if test.changes == nil {
				outcome = workflows.Unchanged
			}
			require.Equal(t, outcome, result.Outcome, result.Error)
			require.False(t, result.Dirty)
			require.ElementsMatch(t, append(test.changes, "FinishDeployment "+string(outcome)), s.changes())
			require.NotContains(t, strings.Join(s.calls, "\n"), "ImageExists", "the image registry need not be there")
			require.Nil(t, s.given, "the operator has given no definition")
			require.Equal(t, test.active, s.committed.Active)
		})
	}
}

// TestARestartKeepsTheDigestOfEachComponent is about two that name one tag and
// were deployed one after the other, while the tag moved.
func TestARestartKeepsTheDigestOfEachComponent(t *testing.T) {
	s := newHarness(t)
	in := shop()
	in.Definition.Components[1].Image = "r.example/api:v1"
	s.released(in)
	web := s.release.Components["web"]
	web.Digest = "sha256:older"
	web.Spec = plan.SpecHash(in.Definition.Components[1], web.Digest)
	s.release.Components["web"], s.nodes["rift"][1].Spec = web, web.Spec
	require.Equal(t, workflows.Succeeded, s.deploy(t, request(fleet.VerbRestart)).Outcome)
	require.Subset(t, s.calls, []string{
		"RunContainer shop-api r.example/api@sha256:api1", "RunContainer shop-web r.example/api@sha256:older",
	})
	require.Equal(t, "sha256:older", s.committed.Members[1].Digest)
}

func TestTheReleasesDigestsNeedNoBuild(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.images = nil
	s.env.ExecuteWorkflow(workflows.PlanName, request(fleet.VerbRestart))
	var planned workflows.PlanResult
	require.NoError(t, s.env.GetWorkflowResult(&planned))
	require.Empty(t, planned.Builds)
	require.Equal(t, plan.Replace, planned.Plan.Steps[0].Action)
}

func TestARestartThatFailsIsPutBack(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.fail = failing("RunContainer shop-web", 0, fault.New(fault.Unhealthy, "it does not answer"))
	result := s.deploy(t, request(fleet.VerbRestart))
	require.Equal(t, workflows.Failed, result.Outcome)
	require.False(t, result.Dirty)
	require.Contains(t, s.calls, "Restore rift remove[shop-web.next shop-api.next] rename[] start[shop-web]")
}

func TestARefusedStopStartOrRestartIsNotOpened(t *testing.T) {
	tests := map[string]struct {
		given   func(s *harness)
		in      workflows.DeployInput
		kind    fault.Kind
		message string
		hint    string
	}{
		"never deployed": {func(*harness) {}, request(fleet.VerbStop), fault.NotFound, "service shop has never been deployed", "mcp deploy shop"},
		"never released": {func(s *harness) { s.release.Newest = 2 }, request(fleet.VerbStart), fault.NotFound, "service shop has no release", "mcp history shop"},
		"undeployed":     {(*harness).undeployed, request(fleet.VerbRestart), fault.NotFound, "service shop is undeployed: there is nothing to restart", "mcp rollback shop"},
		"stopped":        {(*harness).stopped, request(fleet.VerbRestart), fault.Conflict, "service shop is stopped", "mcp start shop"},
		"a component that is not there": {func(s *harness) { s.released(shop()) }, request(fleet.VerbRestart, "db"), fault.NotFound,
			"the release of service shop has no component db: it has api, web", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			test.given(s)
			result := s.deploy(t, test.in)
			require.Equal(t, workflows.Failed, result.Outcome)
			require.Equal(t, test.kind, result.Error.Kind)
			require.Contains(t, result.Error.Message, test.message)
			require.Contains(t, result.Error.Hint, test.hint)
			require.Equal(t, []string{"LoadRelease shop"}, s.calls)
		})
	}
}

func TestHashDistinguishesStopStartAndRestart(t *testing.T) {
	seen := map[string]bool{}
	for _, in := range []workflows.DeployInput{
		request(fleet.VerbStop), request(fleet.VerbStart), request(fleet.VerbRestart), request(fleet.VerbRestart, "api"), undeploy(),
	} {
		seen[in.Hash()] = true
	}
	require.Len(t, seen, 5)
	again := request(fleet.VerbStop)
	again.Who = "another"
	require.True(t, seen[again.Hash()])
}

// A release whose definition went with an encryption key runs on, and is deployed whole
// from its file: containers that are as the file has them stay.
func TestAReleaseWithALostDefinitionIsDeployedFromItsFile(t *testing.T) {
	lost := func(t *testing.T) *harness {
		s := newHarness(t)
		s.released(shop())
		s.release.Definition, s.release.LostKey = nil, "20250301-q2mx4c"
		return s
	}
	t.Run("what is the same stays", func(t *testing.T) {
		s := lost(t)
		result := s.deploy(t, shop())
		require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
		require.Empty(t, s.ran, "no container is replaced")
		require.Len(t, s.committed.Members, 2)
	})
	t.Run("what differs is replaced", func(t *testing.T) {
		s := lost(t)
		in := shop()
		in.Definition.Components[0].Cmd = []string{"other"}
		result := s.deploy(t, in)
		require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
		require.Len(t, s.ran, 1)
	})
	for verb, want := range map[fleet.Verb]string{
		fleet.VerbRestart: "restart service shop: the definition of its release 7 is lost with encryption key 20250301-q2mx4c",
		fleet.VerbStop:    "stop service shop: the definition of its release 7 is lost with encryption key 20250301-q2mx4c",
		fleet.VerbStart:   "start service shop: the definition of its release 7 is lost with encryption key 20250301-q2mx4c",
	} {
		t.Run(string(verb), func(t *testing.T) {
			s := lost(t)
			in := shop()
			in.Verb, in.Definition = verb, servicedef.Service{Name: "shop"}
			result := s.deploy(t, in)
			require.Equal(t, fault.NotFound, result.Error.Kind)
			require.Equal(t, want, result.Error.Message)
			require.Equal(t, "deploy it from its file: mcp deploy shop", result.Error.Hint)
		})
	}
	t.Run("a part of it", func(t *testing.T) {
		s := lost(t)
		in := shop()
		in.Only = []string{"web"}
		result := s.deploy(t, in)
		require.Equal(t, fault.Conflict, result.Error.Kind)
		require.Contains(t, result.Error.Message, "is lost with encryption key 20250301-q2mx4c")
		require.Equal(t, "deploy the whole service: mcp deploy shop", result.Error.Hint)
	})
	t.Run("undeploy", func(t *testing.T) {
		s := lost(t)
		in := shop()
		in.Verb, in.Definition = fleet.VerbUndeploy, servicedef.Service{Name: "shop"}
		result := s.deploy(t, in)
		require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
		require.Empty(t, s.committed.Members)
	})
}
