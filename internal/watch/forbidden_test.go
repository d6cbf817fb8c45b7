package watch_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/internal/watch"
)

// What was let run goes on when a policy becomes stricter, and is drift that nothing heals.
func TestWhatAPolicyWouldNotLetRunAnewIsDrift(t *testing.T) {
	o, services := watched()
	services[0].Release.Definition.Reconcile = true
	services[0].Release.Definition.Components[0].Network = "host"
	strict := policy.Careful("/etc/mcp/node-policy.toml")
	o.Policy = &strict
	found := watch.Assess(fleet.Evidence{Observation: o, Services: services})
	require.Len(t, found.Open, 1)
	require.Equal(t, fleet.Drift{
		Kind: fleet.DriftForbidden, Service: "shop", Component: "web", Container: "shop-web",
		Detail: "it runs on, and would not be let run anew: network: the node's own network is not for containers (network.host, by default)",
	}, found.Open[0].Drift)
	require.Empty(t, found.Heal)
	require.Len(t, found.Events, 1)

	strict.Network.Host = true
	ended := watch.Assess(fleet.Evidence{Observation: o, Services: services, Open: found.Open})
	require.Empty(t, ended.Open)
	require.True(t, ended.Events[0].Ended)

	strict.Network.Host = false
	member := services[0].Release.Components["web"]
	member.Active = false
	services[0].Release.Components["web"] = member
	o.Containers[1].Running = false
	require.Empty(t, watch.FindDrift(o, services, nil, nil), "what is stopped has not drifted")
}

// A policy that cannot be used is the node's own drift, and not that of all components.
func TestAPolicyThatCannotBeUsedIsDriftOfTheNode(t *testing.T) {
	o, services := watched()
	broken := policy.Broken("/etc/mcp/node-policy.toml", errors.New("/etc/mcp/node-policy.toml:3: mounts.root: unknown key"))
	o.Policy = &broken
	require.Equal(t, []fleet.Drift{{
		Kind: fleet.DriftPolicy, Detail: "it lets nothing new run: /etc/mcp/node-policy.toml:3: mounts.root: unknown key",
	}}, watch.FindDrift(o, services, nil, nil))
}

func TestTheStatusNamesWhatIsForbidden(t *testing.T) {
	_, services := watched()
	nodes := []fleet.NodeState{{Drift: []fleet.OpenDrift{
		{Drift: fleet.Drift{Kind: fleet.DriftForbidden, Service: "shop", Component: "web"}},
		{Drift: fleet.Drift{Kind: fleet.DriftStopped, Service: "shop", Component: "db"}},
		{Drift: fleet.Drift{Kind: fleet.DriftForbidden, Service: "other", Component: "db"}},
	}}}
	require.Equal(t, []string{"web"}, fleet.WithForbidden(services, nodes)[0].Forbidden)
}
