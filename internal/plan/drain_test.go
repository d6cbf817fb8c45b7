package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
)

func TestADrainingNodeGetsNoNewContainer(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(in *plan.Input)
		want    string
		refused string // the component
	}{
		"what runs as released is kept": {func(*plan.Input) {}, "=api@rift =web@rift", ""},
		"a new image":                   {func(in *plan.Input) { in.Desired.Components[0].Image = "r.example/api:v2" }, "", "api"},
		"a first deploy": {func(in *plan.Input) {
			in.Release = fleet.Release{Service: "shop", Draining: []string{"rift"}}
			in.Nodes = map[string]plan.Node{"rift": {Reachable: true}}
		}, "", "api"},
		"one that was stopped by hand": {func(in *plan.Input) { in.Nodes["rift"].Containers[1].Running = false }, "", "web"},
		"force":                        {func(in *plan.Input) { in.Force = true }, "", "api"},
		"the other component alone": {func(in *plan.Input) {
			in.Desired.Components[0].Image, in.Only = "r.example/api:v2", []string{"web"}
		}, "=api@rift =web@rift", ""},
		"stopping": {func(in *plan.Input) { in.Desired.Active = false }, ".api@rift .web@rift", ""},
		"a component that is gone from the definition": {func(in *plan.Input) {
			in.Desired.Components = in.Desired.Components[:1]
		}, "=api@rift -web@rift", ""},
		"a move away": {func(in *plan.Input) {
			in.Desired.Components[1].Node, in.Nodes["orion"] = "orion", plan.Node{Reachable: true}
		}, "=api@rift ~web@orion", ""},
		"a move to it": {func(in *plan.Input) {
			in.Release.Draining = []string{"orion"}
			in.Desired.Components[1].Node, in.Nodes["orion"] = "orion", plan.Node{Reachable: true}
		}, "", "web"},
	} {
		t.Run(name, func(t *testing.T) {
			in := steady()
			in.Release.Draining = []string{"rift"}
			test.change(&in)
			made, err := plan.Make(in)
			if test.refused == "" {
				require.NoError(t, err)
				require.Equal(t, test.want, actions(made))
				return
			}
			var draining *plan.DrainingNodeError
			require.ErrorAs(t, err, &draining)
			require.Equal(t, test.refused, draining.Component)
			require.Equal(t, in.Release.Draining, []string{draining.Node})
		})
	}
}
