package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

func TestAContainerThatEdgesReachFollowsItsNodesAddress(t *testing.T) {
	for _, test := range []struct {
		name     string
		hostname servicedef.Hostnames
		was, is  string
		want     plan.Action
	}{
		{"another address", servicedef.Hostnames{"shop.example"}, "127.0.0.1", "10.0.0.1", plan.Replace},
		{"the same", servicedef.Hostnames{"shop.example"}, "10.0.0.1", "10.0.0.1", plan.Keep},
		{"one that is not known", servicedef.Hostnames{"shop.example"}, "", "10.0.0.1", plan.Keep},
		{"no edge", servicedef.Hostnames{"shop.example"}, "127.0.0.1", "", plan.Keep},
		{"a route that no edge serves", nil, "127.0.0.1", "10.0.0.1", plan.Keep},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := steady()
			in.Desired.Components[0].Routes[0].Hostname = test.hostname
			in.Release.Definition = &in.Desired
			c := in.Desired.Components[0]
			m := in.Release.Components[c.Name]
			m.Address = test.was
			in.Release.Components[c.Name] = m
			in.Release.Hosts = map[string]fleet.NodeHost{c.Node: {Address: test.is}}
			made, err := plan.Make(in)
			require.NoError(t, err)
			require.Equal(t, test.want, made.Steps[0].Action, "%v", made.Steps[0].Changes)
			if test.want == plan.Replace {
				require.Equal(t, []plan.Change{{Field: "address", From: "127.0.0.1", To: "10.0.0.1"}}, made.Steps[0].Changes)
			}
		})
	}
}
