package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// adopt asks for the shop's containers.
func adopt() workflows.DeployInput {
	in := shop()
	in.Verb = fleet.VerbAdopt
	return in
}

// byHand is a container that was not started by mcp.
func byHand(name, image string) fleet.Container {
	return fleet.Container{ID: "id of " + name, Name: name, Image: image, Running: true}
}

func TestAnAdoptionTouchesNoContainer(t *testing.T) {
	s := newHarness(t)
	s.candidates = map[string][]fleet.Container{"rift": {
		byHand("shop-api", "r.example/api@sha256:api1"), byHand("shop-web", "r.example/web:v0"), byHand("shop-old", "r.example/old"),
	}}
	s.candidates["rift"][0].Ports = []servicedef.Port{{Host: 8443, Container: 8443, Protocol: "tcp"}}
	result := s.deploy(t, adopt())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, []string{
		"AllocatePorts api", "CommitRelease api/1,web/1", "ReleasePorts", "FinishDeployment succeeded",
	}, s.changes())
	require.Equal(t, []plan.Action{plan.Take, plan.Take}, []plan.Action{result.Components[0].Action, result.Components[1].Action})
	require.Equal(t, map[string]int{"rest": 8443}, result.Components[0].Ports)
	require.Len(t, result.Left, 1)
	require.Contains(t, result.Left[0], "shop-old")
	require.Equal(t, "id of shop-api", s.committed.Adopted[0].ID)
	require.Equal(t, "r.example/api:v1", s.committed.Definition.Components[0].Image, "the digest is the tag's")
	require.Equal(t, "r.example/web:v0", s.committed.Definition.Components[1].Image)
}

func TestAnAdoptionNeedsNoImageRegistry(t *testing.T) {
	s := newHarness(t)
	s.candidates = map[string][]fleet.Container{"rift": {byHand("shop-web", "r.example/web:v1")}}
	s.fail = failing("ImageExists", 0, fault.New(fault.Unavailable, "connection refused"))
	result := s.deploy(t, adopt())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Contains(t, s.calls, "CommitRelease web/1")
}

func TestWhatCannotBeAdoptedIsReportedAndNothingIsDone(t *testing.T) {
	stopped := byHand("shop-web", "r.example/web:v1")
	stopped.Running = false
	for _, test := range []struct {
		name  string
		found []fleet.Container
		kind  fault.Kind
		want  string
	}{
		{"there is none", nil, fault.NotFound, "none is called shop-api or shop-web on rift"},
		{"one does not run", []fleet.Container{byHand("shop-api", "r.example/api:v1"), stopped}, fault.Conflict, "shop-web on rift does not run"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			s.candidates = map[string][]fleet.Container{"rift": test.found}
			result := s.deploy(t, adopt())
			require.Equal(t, workflows.Failed, result.Outcome)
			require.Equal(t, test.kind, result.Error.Kind)
			require.Contains(t, result.Error.Message, test.want)
			require.False(t, result.Dirty)
			require.Equal(t, []string{"FinishDeployment failed"}, s.changes())
		})
	}
}

func TestAPortThatAnotherServiceHoldsIsNotAdopted(t *testing.T) {
	s := newHarness(t)
	s.candidates = map[string][]fleet.Container{"rift": {byHand("shop-web", "r.example/web:v1")}}
	s.candidates["rift"][0].Ports = []servicedef.Port{{Host: 80, Container: 80, Protocol: "tcp"}}
	s.fail = failing("AllocatePorts", 0, fault.New(fault.PortInUse, "tcp port 80 is held by blog/web"))
	result := s.deploy(t, adopt())
	require.Equal(t, fault.PortInUse, result.Error.Kind)
	require.False(t, result.Dirty)
	require.Equal(t, []string{"ReleasePorts", "FinishDeployment failed"}, s.changes())
}

func TestAnAdoptionOfADirtyServiceLeavesItDirty(t *testing.T) {
	s := newHarness(t)
	s.release.Dirty, s.release.Newest = true, 3
	s.candidates = map[string][]fleet.Container{"rift": {byHand("shop-web", "r.example/web:v1")}}
	result := s.deploy(t, adopt())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.True(t, result.Dirty, "it has repaired nothing on the nodes")
}

func TestEveryStepOnANodeIsGivenWhatIsAdopted(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.release.Adopted = []fleet.Adopted{
		{ID: "here", Node: "rift", Service: "shop", Component: "api", Deployment: 7}, {ID: "there", Node: "orion"},
	}
	s.release.Dirty = true
	s.nodes["rift"] = append(s.nodes["rift"], fleet.Container{Name: "shop-api.next", Service: "shop", Component: "api", Deployment: 6})
	in := shop()
	in.Force = true
	require.Equal(t, workflows.Succeeded, s.deploy(t, in).Outcome)
	for _, activity := range []string{"Survey", "Restore", "CutOver", "Retire"} {
		require.Equal(t, []string{"here"}, s.adopted[activity], activity)
	}
}

func TestMendKnowsWhatIsAdopted(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.nodes["rift"] = append(s.nodes["rift"], fleet.Container{Name: "shop-api.prev", Service: "shop", Component: "api", Deployment: 6})
	s.env.ExecuteWorkflow(workflows.MendName, workflows.MendInput{
		Definition: servicedef.Service{Name: "shop"}, Deployment: 7, Nodes: []string{"rift"},
		Adopted: []fleet.Adopted{{ID: "here", Node: "rift"}},
	})
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{"here"}, s.adopted["Survey"])
	require.Equal(t, []string{"here"}, s.adopted["Restore"])
}
