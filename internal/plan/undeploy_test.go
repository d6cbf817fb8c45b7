package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// undeploying is a service that runs as released and is undeployed.
func undeploying() plan.Input {
	in := steady()
	in.Desired = plan.Undeployed(in.Release)
	return in
}

func TestAnUndeployRemovesEveryComponentOfTheRelease(t *testing.T) {
	tests := map[string]struct {
		change    func(in *plan.Input)
		want      string
		remove    []string // by the recovery
		unchanged bool
	}{
		"every component": {func(*plan.Input) {}, "-api@rift -web@rift", nil, false},
		"one that was stopped and kept, too": {func(in *plan.Input) {
			in.Release.Active = false
			for name, m := range in.Release.Components {
				m.Active = false
				in.Release.Components[name] = m
			}
			in.Nodes["rift"].Containers[0].Running = false
		}, "-api@rift -web@rift", nil, false},
		"one whose container is gone": {func(in *plan.Input) {
			in.Nodes["rift"] = plan.Node{Reachable: true}
		}, "-api@rift -web@rift", nil, false},
		"and what a deploy that never ended left": {func(in *plan.Input) {
			late := container(in.Release.Components["api"], "shop-api.next")
			late.Deployment = 4
			in.Nodes["rift"] = plan.Node{Reachable: true, Containers: append([]fleet.Container{late}, in.Nodes["rift"].Containers...)}
		}, "-api@rift -web@rift", []string{"shop-api.next"}, false},
		"what is left of a service that is undeployed": {func(in *plan.Input) {
			in.Release = undeployed()
		}, "", []string{"shop-api", "shop-web"}, false},
		"nothing the second time": {func(in *plan.Input) {
			in.Release, in.Nodes = undeployed(), map[string]plan.Node{"rift": {Reachable: true}}
		}, "", nil, true},
		"nothing of a service that was never released": {func(in *plan.Input) {
			in.Release, in.Nodes = fleet.Release{Service: "shop", Newest: 1}, map[string]plan.Node{"rift": {Reachable: true}}
		}, "", nil, true},
		"nothing from a node that does not answer": {func(in *plan.Input) {
			in.Release, in.Nodes = undeployed(), map[string]plan.Node{"rift": {}}
		}, "", nil, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := undeploying()
			test.change(&in)
			in.Desired = plan.Undeployed(in.Release)
			made, err := plan.Make(in)
			require.NoError(t, err)
			require.Equal(t, test.want, actions(made))
			require.Equal(t, test.unchanged, made.Unchanged())
			require.False(t, made.Active)
			require.Empty(t, plan.Members(in.Desired, in.Release, made, nil))
			var removed []string
			for _, r := range made.Recovery {
				for _, left := range r.Remove {
					removed = append(removed, left.Name)
				}
			}
			require.Equal(t, test.remove, removed)
		})
	}
}

// undeployed is the release that an undeploy leaves.
func undeployed() fleet.Release {
	definition := plan.Undeployed(released(shop()))
	return fleet.Release{Service: "shop", Number: 4, Newest: 4, Definition: &definition}
}

func TestAnUndeployNeedsNoNode(t *testing.T) {
	in := undeploying()
	required, optional := plan.NodesOf(in.Desired, in.Release)
	require.Empty(t, required)
	require.Equal(t, []string{"rift"}, optional)
	require.Equal(t, "rift", in.Desired.Node, "the definition keeps the service's node")
}

func TestDependentsEndBeforeWhatTheyDependOn(t *testing.T) {
	in := steady()
	in.Release.Definition.Components = append(in.Release.Definition.Components, servicedef.Component{Name: "db", Node: "rift"})
	in.Release.Components["db"] = fleet.Member{Component: "db", Container: "shop-db", Node: "rift", Deployment: 3}
	in.Desired = plan.Undeployed(in.Release)
	made, err := plan.Make(in)
	require.NoError(t, err)
	var waves [][]string
	for _, steps := range made.Ends() {
		var names []string
		for _, s := range steps {
			names = append(names, s.Component)
		}
		waves = append(waves, names)
	}
	require.Equal(t, [][]string{{"web"}, {"api", "db"}}, waves)
	require.Empty(t, made.Starts())
}

func TestADeployAfterAnUndeployIsLikeAFirstOne(t *testing.T) {
	in := steady()
	in.Release, in.Nodes = undeployed(), map[string]plan.Node{"rift": {Reachable: true}}
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, "+api@rift +web@rift", actions(made))
	require.Equal(t, shop(), plan.Merge(in.Release.Definition, shop(), []string{"api"}), "of one component, too")
}

func TestNoContainerOfAnUndeployedServiceIsKept(t *testing.T) {
	in := steady()
	in.Nodes["orion"] = plan.Node{Reachable: true}
	require.Equal(t, []plan.Recovery{{Node: "rift", Remove: fleet.Refs("shop-api", "shop-web")}},
		plan.Leftovers(undeployed(), in.Nodes))
}
