package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
)

func TestMakeRecoversTheLeftoversOfADeployThatNeverEnded(t *testing.T) {
	tests := map[string]struct {
		containers func(api, web fleet.Member) []fleet.Container
		want       plan.Recovery
		actions    string
	}{
		"a container that never took over is removed": {
			func(api, web fleet.Member) []fleet.Container {
				late := container(api, "shop-api.next")
				late.Deployment = 4
				return []fleet.Container{container(api, "shop-api"), container(web, "shop-web"), late}
			},
			plan.Recovery{Node: "rift", Remove: fleet.Refs("shop-api.next")},
			"=api@rift =web@rift",
		},
		"a release that was set aside gets its name back, and the container there is removed": {
			func(api, web fleet.Member) []fleet.Container {
				usurper := container(api, "shop-api")
				usurper.Deployment = 4
				stopped := container(api, "shop-api.prev")
				stopped.Running = false
				return []fleet.Container{usurper, stopped, container(web, "shop-web")}
			},
			plan.Recovery{
				Node: "rift", Remove: fleet.Refs("shop-api"),
				Rename: []plan.Rename{{From: "shop-api.prev", To: "shop-api"}},
				Start:  fleet.Refs("shop-api"),
			},
			"=api@rift =web@rift",
		},
		"a predecessor that was not retired is removed": {
			func(api, web fleet.Member) []fleet.Container {
				former := container(api, "shop-api.prev")
				former.Deployment = 2
				return []fleet.Container{container(api, "shop-api"), container(web, "shop-web"), former}
			},
			plan.Recovery{Node: "rift", Remove: fleet.Refs("shop-api.prev")},
			"=api@rift =web@rift",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := steady()
			in.Nodes["rift"] = plan.Node{Reachable: true, Containers: test.containers(in.Release.Components["api"], in.Release.Components["web"])}
			made, err := plan.Make(in)
			require.NoError(t, err)
			require.Equal(t, []plan.Recovery{test.want}, made.Recovery)
			require.Equal(t, test.actions, actions(made))
			require.False(t, made.Unchanged())
		})
	}
}

func TestMakeKeepsAServiceUpThatTheRegistryHasLost(t *testing.T) {
	in := steady()
	in.Release = fleet.Release{Service: "shop"}
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Empty(t, made.Recovery)
	require.Equal(t, "~api@rift ~web@rift", actions(made))
}

func TestALateContainerIsRemovedAndNotRenamed(t *testing.T) {
	in := steady()
	late := container(in.Release.Components["api"], "shop-api.next")
	in.Nodes["rift"] = plan.Node{Reachable: true, Containers: append([]fleet.Container{late}, in.Nodes["rift"].Containers...)}
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, []plan.Recovery{{Node: "rift", Remove: fleet.Refs("shop-api.next")}}, made.Recovery)
}

func TestAnUncommittedContainerThatNothingReplacesIsRemoved(t *testing.T) {
	in := steady()
	in.Release = fleet.Release{Service: "shop"}
	in.Desired.Components = in.Desired.Components[:1]
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, []plan.Recovery{{Node: "rift", Remove: fleet.Refs("shop-web")}}, made.Recovery)
	require.True(t, made.Steps[0].OldActive, "an undo starts it again, released or not")
}

func TestLeftoversAreEverythingButTheRelease(t *testing.T) {
	in := steady()
	nodes := in.Nodes
	nodes["rift"].Containers[0].Running = false
	usurper := container(in.Release.Components["web"], "shop-web")
	usurper.Deployment = 4
	nodes["orion"] = plan.Node{Reachable: true, Containers: []fleet.Container{usurper}}
	require.Equal(t, []plan.Recovery{
		{Node: "orion", Remove: fleet.Refs("shop-web")},
		{Node: "rift", Start: fleet.Refs("shop-api")},
	}, plan.Leftovers(in.Release, nodes))
}

func TestNodesThatMayHoldLeftoversAreSurveyed(t *testing.T) {
	in := steady()
	in.Release.Touched = []string{"orion", "rift"}
	required, optional := plan.NodesOf(in.Desired, in.Release)
	require.Equal(t, []string{"rift"}, required)
	require.Equal(t, []string{"orion"}, optional)
}
