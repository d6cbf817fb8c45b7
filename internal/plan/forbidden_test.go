package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/policy"
)

// A plan that starts what a node forbids is refused with every rule; one that starts nothing
// of it, or restores the release, is not.
func TestAPlanIsRefusedWhereAPolicyForbidsIt(t *testing.T) {
	forbid := func(in *plan.Input, component string) {
		rift := in.Nodes["rift"]
		rift.Policy = "/etc/mcp/node-policy.toml"
		rift.Forbidden = map[string][]policy.Violation{component: {
			{Key: "volumes[0]", Rule: "mounts.roots", Line: 3, Message: "/etc is not below /srv"},
			{Key: "network", Rule: "network.host", Message: "the node's own network is not for containers"},
		}}
		in.Nodes["rift"] = rift
	}
	in := steady()
	forbid(&in, "web")
	_, err := plan.Make(in)
	require.NoError(t, err, "what runs is not started")

	in.Force = true
	_, err = plan.Make(in)
	var forbidden *plan.ForbiddenError
	require.ErrorAs(t, err, &forbidden)
	require.Equal(t, "the policy of node rift, /etc/mcp/node-policy.toml, forbids component web: volumes[0]: /etc is not below /srv (mounts.roots, line 3); "+
		"network: the node's own network is not for containers (network.host, by default)", forbidden.Error())

	in.Admitted = true
	_, err = plan.Make(in)
	require.NoError(t, err, "it was let run before")
}
