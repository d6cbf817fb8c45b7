package onnode_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/hosts"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// newNamed returns a host whose containers have names.
func newNamed(t *testing.T) *host {
	t.Helper()
	h := newHost(t)
	h.Names.Files = hosts.Files{Dir: t.TempDir()}
	return h
}

// component is a component of deployment n of shop, beside api.
func component(n int, name string, change ...func(*activities.ComponentSpec)) activities.ComponentSpec {
	return api(n, append([]func(*activities.ComponentSpec){func(c *activities.ComponentSpec) { c.Definition.Name = name }}, change...)...)
}

// release runs a component and cuts over to it.
func (h *host) release(t *testing.T, c activities.ComponentSpec) {
	t.Helper()
	require.Nil(t, h.run(c))
	require.Nil(t, h.do(h.CutOver, onnode.CutOverInput{Service: "shop", Deployment: c.Deployment, Replace: fleet.Refs(c.Container())}))
}

// addressOf returns the address of the container that was run last of those with the
// name.
func (h *host) addressOf(t *testing.T, name string) string {
	t.Helper()
	for i := len(h.specs) - 1; i >= 0; i-- {
		if h.specs[i].Name == name {
			return h.specs[i].Networks[0].Address.String()
		}
	}
	require.Fail(t, "no container was run", name)
	return ""
}

// resolve returns where a name leads for the client in the container that was run last
// under a name.
func (h *host) resolve(t *testing.T, client, name string) []string {
	t.Helper()
	for i := len(h.specs) - 1; i >= 0; i-- {
		if h.specs[i].Name != client {
			continue
		}
		text, err := os.ReadFile(h.specs[i].Hosts)
		require.NoError(t, err)
		var found []string
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(strings.Split(line, "#")[0])
			for _, field := range fields[min(1, len(fields)):] {
				if field == name {
					found = append(found, fields[0])
				}
			}
		}
		return found
	}
	require.Fail(t, "no such client", client)
	return nil
}

func (h *host) retireAll(t *testing.T, n int, names ...string) {
	t.Helper()
	require.Nil(t, h.do(h.Retire, onnode.RetireInput{Service: "shop", Deployment: n, Containers: fleet.Refs(names...)}))
}

func TestNamesLeadToTheReleaseThroughAnUpdate(t *testing.T) {
	h := newNamed(t)
	h.release(t, component(1, "web"))
	require.Empty(t, h.resolve(t, "shop-web.next", "api"))
	h.probe.answer = func(int) error {
		require.Empty(t, h.resolve(t, "shop-web.next", "api"), "a name leads to a container that is not healthy yet")
		return nil
	}
	first := component(1, "api", func(c *activities.ComponentSpec) {
		c.Routes = []activities.RouteSpec{{Name: "http", HostPort: 20000, ContainerPort: 80}}
	})
	require.Nil(t, h.run(first))
	one := h.addressOf(t, "shop-api.next")
	require.Equal(t, []string{one}, h.resolve(t, "shop-web.next", "api"), "on a first deploy a name leads to the healthy successor")
	require.Equal(t, []string{one}, h.resolve(t, "shop-web.next", "shop-api"))
	require.NotEqual(t, one, h.addressOf(t, "shop-web.next"))
	require.Nil(t, h.cutOver(1))

	h.probe.answer = func(int) error {
		require.Equal(t, []string{one}, h.resolve(t, "shop-web.next", "api"))
		return nil
	}
	second := first
	second.Deployment, second.Routes = 2, []activities.RouteSpec{{Name: "http", HostPort: 20001, ContainerPort: 80}}
	require.Nil(t, h.run(second))
	two := h.addressOf(t, "shop-api.next")
	require.NotEqual(t, one, two)
	require.Equal(t, []string{one}, h.resolve(t, "shop-web.next", "api"), "the release has the name until the cut-over")
	require.Equal(t, []string{one}, h.resolve(t, "shop-api.next", "api"))
	require.Nil(t, h.cutOver(2))
	require.Equal(t, []string{two}, h.resolve(t, "shop-web.next", "api"))
	h.retireAll(t, 2, "shop-api")
	require.Equal(t, []string{two}, h.resolve(t, "shop-web.next", "api"))
}

func TestAnUndoRestoresTheNames(t *testing.T) {
	h := newNamed(t)
	h.release(t, component(1, "web"))
	h.release(t, component(1, "db"))
	one := h.addressOf(t, "shop-db.next")
	stop := onnode.StopContainerInput{Service: "shop", Deployment: 2, Container: fleet.Ref{Name: "shop-db"}}
	require.Nil(t, h.do(h.StopContainer, stop))
	require.Equal(t, []string{one}, h.resolve(t, "shop-web.next", "db"), "until another one is healthy")
	require.Nil(t, h.run(component(2, "db")))
	require.Equal(t, []string{h.addressOf(t, "shop-db.next")}, h.resolve(t, "shop-web.next", "db"))
	h.restartWorker()
	require.Nil(t, h.do(h.Restore, onnode.RestoreInput{
		Service: "shop", Deployment: 2, Closing: true,
		Recovery: plan.Recovery{Remove: fleet.Refs("shop-db.next"), Start: fleet.Refs("shop-db")},
	}))
	require.Equal(t, []string{one}, h.resolve(t, "shop-web.next", "db"))
}

func TestNamesOfACutOverThatDied(t *testing.T) {
	h := newNamed(t)
	h.release(t, component(1, "web"))
	h.release(t, component(1, "api"))
	one := h.addressOf(t, "shop-api.next")
	require.Nil(t, h.run(api(2)))
	two := h.addressOf(t, "shop-api.next")
	died := errors.New("worker died")
	h.engine.Before = func(method, _ string) error {
		if calls := h.engine.Calls(); method == "Network" && calls[len(calls)-2].Method == "Summaries" && len(calls) > 3 && calls[len(calls)-3].Method == "Rename" {
			return died // after the last rename, before the names lead elsewhere
		}
		return nil
	}
	require.NotNil(t, h.cutOver(2))
	require.Equal(t, []string{one}, h.resolve(t, "shop-web.next", "api"))
	h.engine.Before = nil
	h.restartWorker()
	require.Nil(t, h.cutOver(2))
	require.Equal(t, []string{two}, h.resolve(t, "shop-web.next", "api"))
}

func TestTheNetworkOfAServiceComesAndGoesWithItsContainers(t *testing.T) {
	h := newNamed(t)
	h.release(t, component(1, "web"))
	made, err := h.engine.Network(t.Context(), "mcp-shop")
	require.NoError(t, err)
	require.Equal(t, map[string]string{runtime.LabelService: "shop"}, made.Labels)
	h.release(t, component(1, "db"))
	leave := func(n int, name string) {
		require.Nil(t, h.do(h.CutOver, onnode.CutOverInput{Service: "shop", Deployment: n, Leave: fleet.Refs(name)}))
		h.retireAll(t, n, name)
	}
	leave(2, "shop-web")
	_, err = h.engine.Network(t.Context(), "mcp-shop")
	require.NoError(t, err, "db is on it")
	leave(3, "shop-db")
	_, err = h.engine.Network(t.Context(), "mcp-shop")
	require.True(t, fault.Is(err, fault.NotFound), err)
	require.NoDirExists(t, h.Names.Files.Path("shop", ""))
}

func TestANetworkThatIsGoneIsMadeAnewWithItsAddresses(t *testing.T) {
	h := newNamed(t)
	h.release(t, component(1, "web"))
	before, err := h.engine.Network(t.Context(), "mcp-shop")
	require.NoError(t, err)
	h.engine.Disconnect("shop-web", "mcp-shop")
	require.NoError(t, h.engine.RemoveNetwork(t.Context(), "mcp-shop"))
	require.NoError(t, os.RemoveAll(h.Names.Files.Path("shop", "")))
	require.Nil(t, h.do(h.Restore, onnode.RestoreInput{Service: "shop", Deployment: 1}))
	after, err := h.engine.Network(t.Context(), "mcp-shop")
	require.NoError(t, err)
	require.Equal(t, before.Subnet, after.Subnet)
	require.Equal(t, []string{h.addressOf(t, "shop-web.next")}, h.resolve(t, "shop-web.next", "web"))
}

func TestANetworkThatAnotherWorkerRemovesIsNotMadeAnew(t *testing.T) {
	h := newNamed(t)
	h.release(t, component(1, "web"))
	h.engine.Before = func(method, _ string) error {
		if method == "Network" { // the containers are listed by now
			h.engine.Before = nil
			require.NoError(t, h.engine.Remove(t.Context(), "shop-web"))
			require.NoError(t, h.engine.RemoveNetwork(t.Context(), "mcp-shop"))
		}
		return nil
	}
	for service, err := range h.Names.LeadAll(t.Context(), h.engine, nil) {
		require.NoError(t, err, service)
	}
	require.Nil(t, h.engine.Before)
	_, err := h.engine.Network(t.Context(), "mcp-shop")
	require.True(t, fault.Is(err, fault.NotFound), err)
}

func TestANetworkWhoseAddressesAnotherOneHasTaken(t *testing.T) {
	h := newNamed(t)
	h.release(t, component(1, "web"))
	h.engine.Disconnect("shop-web", "mcp-shop")
	require.NoError(t, h.engine.RemoveNetwork(t.Context(), "mcp-shop"))
	h.engine.Before = func(method, _ string) error {
		if method == "CreateNetwork" {
			return fault.New(fault.Internal, "create network mcp-shop: subnet is already used")
		}
		return nil
	}
	f := h.do(h.Restore, onnode.RestoreInput{Service: "shop", Deployment: 1})
	require.NotNil(t, f)
	require.Contains(t, f.Message, "create network mcp-shop")
	require.Contains(t, f.Hint, "containers of shop have addresses of")
}

func TestANetworkThatIsNotTheServicesIsRefusedAndKept(t *testing.T) {
	subnet := netip.MustParsePrefix("10.7.0.0/24")
	mine := map[string]string{runtime.LabelService: "shop"}
	tests := map[string]struct {
		network runtime.NetworkInfo
		want    string
	}{
		"a foreign one":            {runtime.NetworkInfo{Driver: "bridge", Subnet: subnet}, "mcp did not make it for that"},
		"that of another service":  {runtime.NetworkInfo{Driver: "bridge", Subnet: subnet, Labels: map[string]string{runtime.LabelService: "blog"}}, "mcp did not make it for that"},
		"one of another driver":    {runtime.NetworkInfo{Driver: "macvlan", Subnet: subnet, Labels: mine}, "its driver is macvlan, not bridge"},
		"an internal one":          {runtime.NetworkInfo{Driver: "bridge", Subnet: subnet, Labels: mine, Internal: true}, "it is internal"},
		"one without IPv4":         {runtime.NetworkInfo{Driver: "bridge", Labels: mine}, "too few"},
		"one with a few addresses": {runtime.NetworkInfo{Driver: "bridge", Labels: mine, Subnet: netip.MustParsePrefix("10.7.0.0/30")}, "too few"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newNamed(t)
			test.network.Name = "mcp-shop"
			h.engine.AddNetwork(test.network)
			f := h.run(api(1))
			require.NotNil(t, f)
			require.Equal(t, fault.Conflict, f.Kind)
			require.Contains(t, f.Message, "network mcp-shop is to be that of service shop")
			require.Contains(t, f.Message, test.want)
			require.Contains(t, f.Hint, "podman network rm mcp-shop")
			require.Empty(t, h.names(t))
			require.Nil(t, h.do(h.Restore, onnode.RestoreInput{Service: "shop", Deployment: 1, Closing: true}))
			found, err := h.engine.Network(t.Context(), "mcp-shop")
			if test.network.Labels[runtime.LabelService] != "shop" {
				require.NoError(t, err)
				require.Equal(t, test.network, found)
			}
		})
	}
}

func TestAContainerJoinsTheNetworksOfItsDefinition(t *testing.T) {
	h := newNamed(t)
	h.engine.AddNetwork(runtime.NetworkInfo{Name: "rails", Driver: "bridge"})
	h.engine.AddNetwork(runtime.NetworkInfo{Name: "backend", Driver: "bridge"})
	require.Nil(t, h.run(component(1, "db", func(c *activities.ComponentSpec) {
		c.Definition.Network = "rails"
		c.Definition.Networks = servicedef.Networks{{Name: "backend", Aliases: []string{"database"}}}
	})))
	networks := h.specs[0].Networks
	require.Len(t, networks, 3)
	require.Equal(t, "mcp-shop", networks[0].Network)
	require.Equal(t, []string{"db", "shop-db"}, networks[0].Aliases)
	require.Equal(t, runtime.Attachment{Network: "rails", Aliases: []string{"shop-db"}}, networks[1])
	require.Equal(t, runtime.Attachment{Network: "backend", Aliases: []string{"shop-db", "database"}}, networks[2])
}

func TestAContainerOfTheHostsNetworkHasNoNames(t *testing.T) {
	for _, network := range []string{"host", "none"} {
		h := newNamed(t)
		require.Nil(t, h.run(component(1, "db", func(c *activities.ComponentSpec) { c.Definition.Network = network })))
		require.Empty(t, h.specs[0].Networks)
		require.Empty(t, h.specs[0].Hosts)
		_, err := h.engine.Network(t.Context(), "mcp-shop")
		require.True(t, fault.Is(err, fault.NotFound), err)
	}
}

func TestADefinitionMayMountAHostsFileOfItsOwn(t *testing.T) {
	h := newNamed(t)
	require.Nil(t, h.run(component(1, "db", func(c *activities.ComponentSpec) {
		c.Definition.Volumes = []string{"/srv/hosts:/etc/hosts:ro"}
	})))
	require.Empty(t, h.specs[0].Hosts)
	require.Len(t, h.specs[0].Networks, 1)
}

func TestASurveyShowsAContainerThatHasLostItsNetwork(t *testing.T) {
	h := newNamed(t)
	h.release(t, component(1, "db"))
	survey := func() fleet.Container {
		value, err := h.env.ExecuteActivity(h.Survey, onnode.SurveyInput{Service: "shop"})
		require.NoError(t, err)
		var result onnode.SurveyResult
		require.NoError(t, value.Get(&result))
		require.Len(t, result.Containers, 1)
		return result.Containers[0]
	}
	require.Empty(t, survey().Unnamed)
	h.engine.Disconnect("shop-db", "mcp-shop")
	require.Equal(t, "it is not connected to network mcp-shop", survey().Unnamed)
}

func TestARetryOfAStartKeepsTheAddress(t *testing.T) {
	h := newNamed(t)
	require.Nil(t, h.run(component(1, "db")))
	first := h.specs[0].Networks[0].Address
	h.restartWorker()
	require.Nil(t, h.run(component(1, "db")))
	require.Equal(t, first, h.specs[1].Networks[0].Address)
	require.Equal(t, h.specs[0].Hosts, h.specs[1].Hosts)
}

// overtaken is an engine whose first start of a container another attempt overtakes.
type overtaken struct {
	recorder
	t       *testing.T
	started bool
}

func (o *overtaken) Run(ctx context.Context, spec runtime.ContainerSpec) (string, error) {
	if !o.started {
		o.started = true
		require.Nil(o.t, o.host.run(component(1, "db")))
		require.FileExists(o.t, spec.Hosts, "the container is about to mount it")
	}
	return o.recorder.Run(ctx, spec)
}

func TestAnAttemptThatIsOvertakenKeepsItsHostsFile(t *testing.T) {
	h := newNamed(t)
	h.Runtime = &overtaken{recorder: recorder{h.engine, h}, t: t}
	require.Nil(t, h.run(component(1, "db")))
	require.Len(t, h.specs, 2)
}

func TestANetworkWithoutAFreeAddress(t *testing.T) {
	h := newNamed(t)
	h.engine.AddNetwork(runtime.NetworkInfo{
		Name: "mcp-shop", Driver: "bridge", Subnet: netip.MustParsePrefix("10.7.0.0/29"), Gateway: netip.MustParseAddr("10.7.0.1"),
		Labels: map[string]string{runtime.LabelService: "shop"},
	})
	seen := map[string]bool{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		require.Nil(t, h.run(component(1, name)))
		seen[h.addressOf(t, "shop-"+name+".next")] = true
	}
	require.Equal(t, map[string]bool{"10.7.0.2": true, "10.7.0.3": true, "10.7.0.4": true, "10.7.0.5": true, "10.7.0.6": true}, seen)
	f := h.run(component(1, "f"))
	require.Equal(t, fault.Invalid, f.Kind)
	require.Contains(t, f.Message, "network mcp-shop has no free address in 10.7.0.0/29")
}
