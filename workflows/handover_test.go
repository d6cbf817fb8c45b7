package workflows_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// holding is a deploy of components that are stopped first, each with a static port.
func holding(ports ...[2]string) workflows.DeployInput {
	in := shop()
	in.Definition.Components = nil
	for _, p := range ports {
		in.Definition.Components = append(in.Definition.Components, servicedef.Component{
			Name: p[0], Node: "rift", Image: "r.example/api:v1", Order: servicedef.StopFirst, Ports: []string{p[1]},
		})
	}
	return in
}

func TestARenamedComponentStopsItsPredecessorFirst(t *testing.T) {
	before, after := holding([2]string{"db", "81:80"}), holding([2]string{"database", "81:80"})

	t.Run("and removes it", func(t *testing.T) {
		s := newHarness(t)
		s.released(before)
		require.Equal(t, workflows.Succeeded, s.deploy(t, after).Outcome)
		require.Equal(t, []string{
			"AllocatePorts database", "StopContainer shop-db", "RunContainer shop-database r.example/api@sha256:api1",
			"CutOver shop-database,shop-db", "CommitRelease database/8", "Retire shop-database,shop-db",
			"ReleasePorts", "FinishDeployment succeeded",
		}, s.changes())
		require.Equal(t, []fleet.StaticPort{
			{HostPort: fleet.HostPort{Node: "rift", Protocol: "tcp", Port: 81}, Component: "database"},
		}, s.committed.Static)
	})
	t.Run("and the undo starts it again", func(t *testing.T) {
		s := newHarness(t)
		s.released(before)
		s.fail = failing("RunContainer", 0, errUnhealthy)
		require.Equal(t, workflows.Failed, s.deploy(t, after).Outcome)
		require.Equal(t, []string{
			"AllocatePorts database", "StopContainer shop-db",
			"Restore rift remove[shop-database.next] rename[] start[shop-db]", "ReleasePorts", "FinishDeployment failed",
		}, s.changes())
	})
}

func TestAnImageIsFetchedBeforeAContainerStopsForIt(t *testing.T) {
	s := newHarness(t)
	s.released(holding([2]string{"db", "81:80"}))
	in := holding([2]string{"db", "81:80"})
	in.Definition.Components[0].Image = "r.example/web:v1" // another digest
	s.fail = failing("FetchImage", 0, fault.New(fault.Unavailable, "the image registry is away"))
	result := s.deploy(t, in)
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Contains(t, result.Error.Message, "the image registry is away")
	require.NotContains(t, strings.Join(s.changes(), "\n"), "StopContainer", "the container serves meanwhile")

	s = newHarness(t)
	s.released(holding([2]string{"db", "81:80"}))
	require.Equal(t, workflows.Succeeded, s.deploy(t, in).Outcome)
	require.Equal(t, []string{"FetchImage r.example/web@sha256:web1", "StopContainer shop-db", "RunContainer shop-db r.example/web@sha256:web1"}, s.changes()[1:4])

	// A node that runs the image has it.
	s = newHarness(t)
	s.released(holding([2]string{"db", "81:80"}))
	again := holding([2]string{"db", "81:80"})
	again.Force = true
	require.Equal(t, workflows.Succeeded, s.deploy(t, again).Outcome)
	require.NotContains(t, strings.Join(s.changes(), "\n"), "FetchImage")
}

func TestComponentsThatExchangePortsAreStoppedOnceEachBeforeEitherStarts(t *testing.T) {
	s := newHarness(t)
	s.released(holding([2]string{"blue", "81:80"}, [2]string{"green", "82:80"}))
	s.fail = failing("RunContainer shop-green", 0, errUnhealthy)
	require.Equal(t, workflows.Failed, s.deploy(t, holding([2]string{"blue", "82:80"}, [2]string{"green", "81:80"})).Outcome)
	changes := s.changes()
	require.ElementsMatch(t, []string{"AllocatePorts blue", "AllocatePorts green"}, changes[:2])
	require.ElementsMatch(t, []string{"StopContainer shop-blue", "StopContainer shop-green"}, changes[2:4])
	require.Regexp(t, `(?m)^Restore rift remove\[shop-(blue|green).next shop-(blue|green).next\] rename\[\] start\[shop-blue shop-green\]$`, strings.Join(changes, "\n"))
}

func TestAHeldPortIsRefusedBeforeAnythingStops(t *testing.T) {
	other := fleet.PortHolder{
		HostPort: fleet.HostPort{Node: "rift", Protocol: "tcp", Port: 82}, Service: "blog", Component: "web", Committed: true,
	}
	refused := fault.New(fault.PortInUse, "tcp port 82 is held by blog/web")

	t.Run("by the plan", func(t *testing.T) {
		s := newHarness(t)
		s.released(holding([2]string{"api", "81:80"}))
		s.held = []fleet.PortHolder{other}
		result := s.deploy(t, holding([2]string{"api", "82:80"}))
		require.Equal(t, workflows.Failed, result.Outcome)
		require.Equal(t, fault.PortInUse, result.Error.Kind)
		require.Equal(t, "component api needs tcp port 82 on node rift, which blog/web has", result.Error.Message)
		require.Equal(t, "name another port, or deploy blog without it first", result.Error.Hint)
		require.Equal(t, []string{"FinishDeployment failed"}, s.changes())
	})
	t.Run("by mcp plan", func(t *testing.T) {
		s := newHarness(t)
		s.released(holding([2]string{"api", "81:80"}))
		s.held = []fleet.PortHolder{other}
		s.env.ExecuteWorkflow(workflows.PlanName, holding([2]string{"api", "82:80"}))
		require.ErrorContains(t, s.env.GetWorkflowError(), "component api needs tcp port 82 on node rift, which blog/web has")
	})
	t.Run("by the registry, where it was taken meanwhile", func(t *testing.T) {
		s := newHarness(t)
		s.released(holding([2]string{"api", "81:80"}))
		s.fail = failing("AllocatePorts", 0, refused)
		result := s.deploy(t, holding([2]string{"api", "82:80"}))
		require.Equal(t, fault.PortInUse, result.Error.Kind)
		require.Equal(t, []string{"ReleasePorts", "FinishDeployment failed"}, s.changes())
	})
	t.Run("and one that is about to be let go is waited for", func(t *testing.T) {
		s := newHarness(t)
		s.released(holding([2]string{"api", "81:80"}))
		s.fail = failing("AllocatePorts", 3, fault.New(fault.Unavailable, "tcp port 82 is held by blog/web until its old container has stopped"))
		require.Equal(t, workflows.Succeeded, s.deploy(t, holding([2]string{"api", "82:80"})).Outcome)
	})
	t.Run("in a part of a service", func(t *testing.T) {
		s := newHarness(t)
		s.released(holding([2]string{"db", "81:80"}))
		s.held = []fleet.PortHolder{other}
		s.held[0].Port, s.held[0].Service, s.held[0].Component = 81, "shop", "db"
		in := holding([2]string{"database", "81:80"})
		in.Only = []string{"database"}
		result := s.deploy(t, in)
		require.Equal(t, "deploy the whole service, which hands it over: mcp deploy shop", result.Error.Hint)
		require.Equal(t, []string{"FinishDeployment failed"}, s.changes())
	})
}

func TestAnUndoStartsContainersInTheOrderOfTheirDependencies(t *testing.T) {
	s := newHarness(t)
	before := holding([2]string{"api", "81:80"}, [2]string{"db", "82:80"})
	before.Definition.Components[0].DependsOn = []string{"db"}
	s.released(before)
	s.fail = failing("RunContainer", 0, errUnhealthy)
	result := s.deploy(t, holding([2]string{"one", "81:80"}, [2]string{"two", "82:80"}))
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Contains(t, strings.Join(s.changes(), "\n"), "start[shop-db shop-api]")
	require.Equal(t, plan.Create, result.Components[0].Action)
}
