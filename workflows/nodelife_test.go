package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

var (
	mine     = fleet.Machine{ID: "m1", Boot: "b1", Hostname: "one"}
	rebooted = fleet.Machine{ID: "m1", Boot: "b2", Hostname: "one"}
	other    = fleet.Machine{ID: "m2", Boot: "b3", Hostname: "two"}
)

func TestAClaimOnANodesName(t *testing.T) {
	since := time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)
	untaken := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
	swallowed := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_START_TO_CLOSE, nil)
	for _, test := range []struct {
		name    string
		holder  fleet.Machine
		claims  fleet.Machine
		answers fleet.Machine
		silence error // of the queue; nil where a worker answers
		calls   []string
		refused string
		hint    string
	}{
		{name: "its worker is restarted", holder: mine, claims: mine, calls: []string{"ClaimNode granted"}},
		{name: "another machine", holder: mine, claims: other, calls: []string{"ClaimNode refused"},
			refused: "the name rift belongs to another machine, host one (m1) with routes on 10.0.0.1, since 2025-06-01T12:00:00Z; it last answered at 2025-06-01T13:00:00Z",
			hint:    "give this worker another name; if that machine is gone for good, free the name: mcp node remove rift"},
		{name: "its machine was booted", holder: mine, claims: rebooted, silence: untaken, calls: []string{"ClaimNode open", "ClaimNode granted"}},
		{name: "its machine was booted, and Temporal has not noticed yet", holder: mine, claims: rebooted, silence: swallowed,
			calls: []string{"ClaimNode open", "ClaimNode granted"}},
		{name: "a clone of the machine", holder: mine, claims: rebooted, answers: mine, calls: []string{"ClaimNode open", "Identify one"},
			refused: "a worker on another machine, host one (m1) with routes on 10.0.0.1, serves node rift",
			hint:    "the two machines have one identity, as clones do: give one of them another (see [node] machine in mcp.toml), and another name"},
		{name: "a node that was removed while its worker runs", claims: other, answers: mine, calls: []string{"ClaimNode open", "Identify one"},
			refused: "a worker on another machine, host one (m1) with routes on 10.0.0.1, serves node rift",
			hint:    "stop that worker, or give this one another name"},
		{name: "the worker of a node that was removed, again", claims: mine, answers: mine,
			calls: []string{"ClaimNode open", "Identify one", "ClaimNode granted"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			s.holder = fleet.Holder{Machine: test.holder, Address: "10.0.0.1", Since: since, Answered: since.Add(time.Hour)}
			s.answer = fleet.Answer{Machine: test.answers, Address: "10.0.0.1"}
			if test.silence != nil {
				s.env.OnActivity("Identify", mock.Anything).Return(fleet.Answer{}, test.silence)
			}
			s.env.ExecuteWorkflow(tend.ClaimNodeName, fleet.Claim{Node: "rift", Machine: test.claims})
			require.True(t, s.env.IsWorkflowCompleted())
			require.Equal(t, test.calls, s.calls)
			if test.refused == "" {
				require.NoError(t, s.env.GetWorkflowError())
				return
			}
			f := workflows.FaultOf(s.env.GetWorkflowError())
			require.Equal(t, fault.Conflict, f.Kind)
			require.Equal(t, test.refused, f.Message)
			require.Equal(t, test.hint, f.Hint)
			require.Equal(t, "rift", f.Node)
		})
	}
}

func TestAClaimWaitsForPostgres(t *testing.T) {
	s := newHarness(t)
	s.holder = fleet.Holder{Machine: mine}
	s.fail = failing("ClaimNode", 20, fault.New(fault.Unavailable, "Postgres does not answer"))
	s.env.ExecuteWorkflow(tend.ClaimNodeName, fleet.Claim{Node: "rift", Machine: mine})
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{"ClaimNode granted"}, s.calls)
}

// requireRefused deploys a web that rift refuses, and requires that nothing is touched.
func (s *harness) requireRefused(t *testing.T, in workflows.DeployInput, kind fault.Kind, message, hint string) {
	t.Helper()
	result := s.deploy(t, in)
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Equal(t, &fault.Error{Kind: kind, Message: message, Hint: hint, Node: "rift", Component: "web"}, result.Error)
	require.Equal(t, []string{"FinishDeployment failed"}, s.changes())
}

func TestADeployThatNeedsANewContainerOnADrainingNodeTouchesNothing(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.release.Draining = []string{"rift"}
	in := shop()
	in.Definition.Components[1].Env = map[string]string{"COLOUR": "red"}
	delete(s.images, "r.example/web:v1") // which would be built first
	in.Definition.Build.Images["web"] = servicedef.ImageBuild{Containerfile: "Containerfile.web"}
	s.requireRefused(t, in, fault.Conflict, "component web needs a new container on node rift, which is draining",
		"let it have new containers again: mcp node activate rift; or give the component another node")
}

func TestADeployThatNeedsASecretWhichItsNodeLacksTouchesNothing(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	in := shop()
	in.Definition.Components[1].SecretEnv = map[string]string{"PASSWORD": "shop-db"}
	s.requireRefused(t, in, fault.Invalid, "component web needs the secret shop-db, which podman on node rift does not have",
		"set it: mcp secret set shop/shop-db; or make it on rift: podman secret create shop-db FILE")
}

func TestADrainingNodeKeepsAndStopsWhatItHas(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.release.Draining = []string{"rift"}
	require.Equal(t, workflows.Unchanged, s.deploy(t, shop()).Outcome)

	s = newHarness(t)
	s.released(shop())
	s.release.Draining = []string{"rift"}
	in := shop()
	in.Definition.Active = false
	require.Equal(t, workflows.Succeeded, s.deploy(t, in).Outcome)
	require.Contains(t, s.changes(), "StopContainer shop-api")
}

func TestANodeIsForgotten(t *testing.T) {
	s := newHarness(t)
	s.env.ExecuteWorkflow(tend.RemoveNodeName, "rift")
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{"RemoveNode rift"}, s.calls)
}

func TestANodeThatMustStayIsNotForgotten(t *testing.T) {
	s := newHarness(t)
	s.fail = failing("RemoveNode", 0, fault.New(fault.Conflict, "node rift is to run shop (web)"))
	s.env.ExecuteWorkflow(tend.RemoveNodeName, "rift")
	require.Equal(t, fault.Conflict, workflows.FaultOf(s.env.GetWorkflowError()).Kind)
	require.Empty(t, s.calls)
}

func TestAnObservationOfARemovedNodeIsNoFailure(t *testing.T) {
	unknown := fault.New(fault.NotFound, "no node is called rift")
	unknown.Node = "rift"
	s := newHarness(t)
	s.fail = failing("RecordObservation", 0, unknown)
	s.env.ExecuteWorkflow(tend.MonitorNodeName, "rift")
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{"ObserveNode rift"}, s.calls)

	s = newHarness(t)
	s.fail = failing("RecordObservation", 0, fault.New(fault.NotFound, "there is no database mcp"))
	s.env.ExecuteWorkflow(tend.MonitorNodeName, "rift")
	require.Error(t, s.env.GetWorkflowError())
	require.Equal(t, []string{"ObserveNode rift"}, s.calls, "it is not the node that is missing")
}

func TestDrainReportsTheServicesStillThere(t *testing.T) {
	s := newHarness(t)
	s.env.ExecuteWorkflow(tend.DrainNodeName, tend.DrainInput{Node: "rift", Draining: true})
	require.NoError(t, s.env.GetWorkflowError())
	var result tend.DrainResult
	require.NoError(t, s.env.GetWorkflowResult(&result))
	require.Equal(t, []fleet.ServiceOn{{Service: "shop", Components: []string{"api"}}}, result.Services)
	require.Equal(t, []string{"SetDraining rift true"}, s.calls)
}
