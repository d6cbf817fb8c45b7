package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/workflows"
)

func TestAPlanPassesOverWhatIsAboutToGo(t *testing.T) {
	for name, held := range map[string]bool{"while the deploy retires it": true, "not after it was terminated": false} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.released(shop())
			s.release.Retiring = true
			s.deploying = func() bool { return held }
			s.nodes["rift"] = append(s.nodes["rift"], fleet.Container{Name: "shop-api.prev", Service: "shop", Component: "api", Deployment: 6})
			s.env.ExecuteWorkflow(workflows.PlanName, shop())
			var planned workflows.PlanResult
			require.NoError(t, s.env.GetWorkflowResult(&planned))
			require.Equal(t, held, planned.Plan.Unchanged())
		})
	}
}

func TestAPlanShowsURLsAndChangesNothing(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	s.edges.holders = []fleet.EndpointHolder{{Endpoint: publication.Endpoints(shopfront().Definition)[0], Service: "shop"}}
	in := shopfront()
	in.Definition.Components[1].Routes[0].Compress = true
	s.env.ExecuteWorkflow(workflows.PlanName, in)
	var planned workflows.PlanResult
	require.NoError(t, s.env.GetWorkflowResult(&planned))
	require.Equal(t, []plan.EdgeChange{
		{
			Endpoint: fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "shop.example"}, URL: "https://shop.example",
			Components: []string{"web"}, Action: plan.Replace, Changes: []plan.Change{{Field: "compress", From: "false", To: "true"}},
		},
		{
			Endpoint: fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "shop.example", Path: "/api"}, URL: "https://shop.example/api",
			Components: []string{"api"}, Action: plan.Keep,
		},
	}, planned.Plan.Edges)
	require.False(t, planned.Plan.TouchesContainers())
	require.Equal(t, []string{"EndpointHolders 2"}, s.changes())
}

func TestWhatEdgesCannotServeIsRefused(t *testing.T) {
	unreachable := func(s *harness) {
		s.front()
		s.release.Hosts["rift"] = fleet.NodeHost{Address: "127.0.0.1", Machine: fleet.Machine{ID: "rift"}}
	}
	for name, test := range map[string]struct {
		change  func(*harness)
		kind    fault.Kind
		message string
		hint    string
	}{
		"a hostname of another service": {
			func(s *harness) {
				s.front()
				s.edges.holders = []fleet.EndpointHolder{{Endpoint: publication.Endpoints(shopfront().Definition)[1], Service: "store"}}
			},
			fault.Conflict, "shop.example:443/api is held by service store",
			"give it another hostname, path or port, or deploy store without it first",
		},
		"a node that publishes for itself": {
			unreachable, fault.Invalid,
			"edge edge1 cannot reach route rest of component api: node rift publishes its routes on 127.0.0.1, which other hosts cannot reach",
			"set publish in [node] of the mcp.toml of rift to an address that edge1 can reach, or leave the hostname out",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			test.change(s)
			s.env.ExecuteWorkflow(workflows.PlanName, shopfront())
			f := attempt.FaultOf(s.env.GetWorkflowError())
			require.Equal(t, test.kind, f.Kind)
			require.Equal(t, test.message, f.Message)
			require.Equal(t, test.hint, f.Hint)
		})
	}
	t.Run("by a deploy, before anything changes", func(t *testing.T) {
		s := newHarness(t)
		unreachable(s)
		result := s.deploy(t, shopfront())
		require.Equal(t, workflows.Failed, result.Outcome)
		require.Equal(t, fault.Invalid, result.Error.Kind)
		require.Equal(t, []string{"FinishDeployment failed"}, s.changes())
	})
}
