package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// identified is a steady service as podman and a registry show it: each container has
// a run, an id, an image and ports.
func identified() plan.Input {
	in := steady()
	for name, m := range in.Release.Components {
		m.Run = "run-3"
		if name == "api" {
			m.Routes = []fleet.Route{{Name: "rest", Port: 8443, Mode: "l4", HostPort: 20001}}
		}
		in.Release.Components[name] = m
	}
	for i := range in.Nodes["rift"].Containers {
		c := &in.Nodes["rift"].Containers[i]
		c.Run, c.ID, c.Image = "run-3", "id-"+c.Name, "r.example/"+c.Component+"@"+oldDigest
		if c.Component == "api" {
			c.Ports = []servicedef.Port{{IP: "127.0.0.1", Host: 20001, Container: 20001, Protocol: "tcp"}}
		}
	}
	return in
}

func TestAContainerIsUnchangedOnlyAsTheRegistryHasIt(t *testing.T) {
	for name, test := range map[string]struct {
		change func(api *fleet.Container, in *plan.Input)
		want   string // why it is replaced
	}{
		"it is as it was":                  {func(*fleet.Container, *plan.Input) {}, ""},
		"another deployment of its number": {func(c *fleet.Container, _ *plan.Input) { c.Run = "run-before-the-restore" }, "not of a release"},
		"another port":                     {func(c *fleet.Container, _ *plan.Input) { c.Ports[0].Host = 20002 }, "on other ports"},
		"no port":                          {func(c *fleet.Container, _ *plan.Input) { c.Ports = nil }, "on other ports"},
		"another image":                    {func(c *fleet.Container, _ *plan.Input) { c.Image = "r.example/api@" + newDigest }, "of another image"},
		"a tag instead of a digest":        {func(c *fleet.Container, _ *plan.Input) { c.Image = "r.example/api:v1" }, "of another image"},
		"one that was adopted": {func(c *fleet.Container, in *plan.Input) {
			c.Image, c.Ports = "r.example/api:v1", nil
			in.Release.Adopted = []fleet.Adopted{{ID: c.ID, Node: "rift", Service: "shop", Component: "api", Deployment: 3, Run: "run-3"}}
		}, ""},
		"host networking": {func(c *fleet.Container, in *plan.Input) {
			c.Ports = nil
			in.Desired.Components[0].Network, in.Release.Definition.Components[0].Network = "host", "host"
			api := in.Release.Components["api"]
			api.Spec = plan.SpecHash(in.Desired.Components[0], oldDigest)
			c.Spec, in.Release.Components["api"] = api.Spec, api
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := identified()
			test.change(&in.Nodes["rift"].Containers[0], &in)
			made, err := plan.Make(in)
			require.NoError(t, err)
			if test.want == "" {
				require.True(t, made.Unchanged(), "%v", made.Steps)
				return
			}
			require.Equal(t, "~api@rift =web@rift", actions(made))
			require.Equal(t, test.want, made.Steps[0].Changes[0].From)
			require.Equal(t, "id-shop-api", made.Steps[0].OldID)
		})
	}
}

func TestLeftoversOfAnotherRunOfTheNumberAreRemoved(t *testing.T) {
	in := identified()
	other := in.Nodes["rift"].Containers[1]
	other.Name, other.Run, other.ID = "shop-web.next", "run-before-the-restore", "id-other"
	nodes := map[string]plan.Node{"rift": {Reachable: true, Containers: append([]fleet.Container{other}, in.Nodes["rift"].Containers...)}}
	require.Equal(t, []plan.Recovery{{Node: "rift", Remove: []fleet.Ref{{Name: "shop-web.next", ID: "id-other"}}}}, plan.Leftovers(in.Release, nodes))
}

// A container that goes keeps the name that an operator gave it: the one that it had may
// be a foreign container's.
func TestAnUndeployFindsARenamedContainerByItsID(t *testing.T) {
	in := identified()
	in.Desired = plan.Undeployed(in.Release)
	in.Nodes["rift"].Containers[0].Name = "mine"
	foreign := fleet.Container{Name: "shop-api", ID: "foreign", Running: true}
	containers := append([]fleet.Container{foreign}, in.Nodes["rift"].Containers...)
	in.Nodes["rift"] = plan.Node{Reachable: true, Containers: containers}
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Empty(t, made.Recovery)
	require.Equal(t, "-api@rift -web@rift", actions(made))
	require.Equal(t, fleet.Ref{Name: "shop-api", ID: "id-shop-api"}, made.Steps[0].Old())

	in.Desired = *in.Release.Definition
	in.Desired.Active = false
	made, err = plan.Make(in)
	require.NoError(t, err)
	require.Empty(t, made.Recovery, "nor does one that is stopped need its name")
	require.Equal(t, plan.Stop, made.Steps[0].Action)
	require.Equal(t, fleet.Ref{Name: "shop-api", ID: "id-shop-api"}, made.Steps[0].Old())
}
