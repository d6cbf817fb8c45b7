package adoption_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/adoption"
	"github.com/metacircular/mcp/internal/watch"
	"github.com/metacircular/mcp/servicedef"
)

const (
	oldDigest = "sha256:old"
	newDigest = "sha256:new"
)

// candidate is a container that runs and bears no label.
func candidate(name, image string, ports ...servicedef.Port) fleet.Container {
	c := fleet.Container{Ports: ports}
	c.ID, c.Name, c.Image, c.Digest, c.Running = "id-"+name, name, image, oldDigest, true
	return c
}

// adoptable is a service of two components, and the node that runs both.
func adoptable() adoption.Input {
	return adoption.Input{
		Desired: servicedef.Service{Name: "shop", Node: "rift", Active: true, Components: []servicedef.Component{
			{Name: "shop", Node: "rift", Image: "r.example/shop:v1"},
			{Name: "api", Node: "rift", Image: "r.example/api:v1"},
		}},
		Release:    fleet.Release{Service: "shop"},
		Deployment: 4,
		Services:   []string{"blog", "shop-admin"},
		Nodes: map[string][]fleet.Container{"rift": {
			candidate("shop", "r.example/shop:v1"), candidate("shop-api", "r.example/api:v1"), candidate("blog-web", "r.example/web"),
		}},
	}
}

func TestAdoptMatchesByName(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(in *adoption.Input)
		// adopted are component=container ids; the others are joined.
		adopted, absent, managed, left, problems string
	}{
		{name: "both", change: func(*adoption.Input) {}, adopted: "shop=id-shop api=id-shop-api"},
		{name: "one is absent", adopted: "api=id-shop-api", absent: "shop", change: func(in *adoption.Input) {
			in.Nodes["rift"] = in.Nodes["rift"][1:]
		}},
		{name: "none", absent: "shop api", change: func(in *adoption.Input) { in.Nodes["rift"] = nil }},
		{name: "one is on another node", adopted: "shop=id-shop api=id-shop-api", change: func(in *adoption.Input) {
			in.Nodes["orion"], in.Nodes["rift"] = in.Nodes["rift"][1:2], in.Nodes["rift"][:1]
		}},
		{
			name: "two candidates", adopted: "shop=id-shop", problems: "component api could be container shop-api on orion or container shop-api on rift",
			change: func(in *adoption.Input) { in.Nodes["orion"] = in.Nodes["rift"][1:2] },
		},
		{
			name: "one does not run", adopted: "shop=id-shop", problems: "container shop-api on rift does not run: start it, or remove it",
			change: func(in *adoption.Input) { in.Nodes["rift"][1].Running = false },
		},
		{
			name: "one is another service's", adopted: "shop=id-shop", problems: "container shop-api on rift belongs to service blog",
			change: func(in *adoption.Input) { in.Nodes["rift"][1].Service = "blog" },
		},
		{
			name: "one is a leftover of mcp's", adopted: "shop=id-shop",
			problems: "container shop-api on rift is not the release's, though mcp has made it: mcp deploy shop repairs that",
			change: func(in *adoption.Input) {
				in.Nodes["rift"][1].Service, in.Nodes["rift"][1].Component, in.Nodes["rift"][1].Deployment = "shop", "api", 2
			},
		},
		{
			name: "a name that no rule explains", adopted: "shop=id-shop api=id-shop-api",
			left: "container shop-worker on rift: the definition has no component worker",
			change: func(in *adoption.Input) {
				in.Nodes["rift"] = append(in.Nodes["rift"], candidate("shop-worker", "x"), candidate("shop-admin-web", "x"), candidate("shopping", "x"))
			},
		},
		{name: "mcp runs one already", adopted: "shop=id-shop", managed: "api", change: func(in *adoption.Input) {
			in.Release.Components = map[string]fleet.Member{"api": {Component: "api", Container: "shop-api", Node: "rift", Deployment: 2}}
			c := &in.Nodes["rift"][1]
			c.Service, c.Component, c.Deployment = "shop", "api", 2
		}},
		{name: "one was adopted before", adopted: "shop=id-shop", managed: "api", change: func(in *adoption.Input) {
			in.Release.Components = map[string]fleet.Member{"api": {Component: "api", Container: "shop-api", Node: "rift", Deployment: 2}}
			in.Release.Adopted = []fleet.Adopted{{ID: "id-shop-api", Node: "rift", Service: "shop", Component: "api", Deployment: 2}}
		}},
		{name: "one took the place of the release's", adopted: "shop=id-shop api=id-shop-api", change: func(in *adoption.Input) {
			in.Release.Components = map[string]fleet.Member{"api": {Component: "api", Container: "shop-api", Node: "rift", Deployment: 2}}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := adoptable()
			test.change(&in)
			got := adoption.Make(in)
			var adopted []string
			for _, a := range got.Adopted {
				adopted = append(adopted, a.Component+"="+a.ID)
			}
			require.Equal(t, test.adopted, strings.Join(adopted, " "))
			require.Equal(t, test.absent, strings.Join(got.Absent, " "))
			require.Equal(t, test.managed, strings.Join(got.Managed, " "))
			require.Equal(t, test.left, strings.Join(got.Left, " "))
			require.Equal(t, test.problems, strings.Join(got.Problems, " "))
		})
	}
}

// after is the plan of a deploy of a definition after an adoption.
func after(t *testing.T, in adoption.Input, a adoption.Adoption) map[string]string {
	t.Helper()
	release := fleet.Release{Service: "shop", Number: 4, Newest: 4, Active: true, Definition: &a.Definition, Components: map[string]fleet.Member{}, Adopted: a.Adopted}
	nodes := map[string]plan.Node{"rift": {Reachable: true}}
	for _, m := range a.Members {
		release.Components[m.Component] = m
	}
	for name, candidates := range in.Nodes {
		var containers []fleet.Container
		for _, c := range candidates {
			containers = append(containers, fleet.Recognise(name, []fleet.Container{c}, release)[0])
		}
		nodes[name] = plan.Node{Reachable: true, Containers: containers}
	}
	made, err := plan.Make(plan.Input{Desired: in.Desired, Release: release, Nodes: nodes, Digests: map[string]string{
		"r.example/shop:v1": oldDigest, "r.example/api:v1": oldDigest, "r.example/api:v2": newDigest,
	}})
	require.NoError(t, err)
	require.Empty(t, made.Recovery)
	changes := map[string]string{}
	for _, step := range made.Steps {
		text := string(step.Action)
		for _, change := range step.Changes {
			text += " " + change.Field
		}
		changes[step.Component] = text
	}
	return changes
}

func TestThePlanAfterAnAdoptionShowsWhatDiffersFromTheDefinition(t *testing.T) {
	tcp := func(ip string, host, container int) servicedef.Port {
		return servicedef.Port{IP: ip, Host: host, Container: container, Protocol: "tcp"}
	}
	route := func(name string, port int) servicedef.Route { return servicedef.Route{Name: name, ContainerPort: port} }
	for _, test := range []struct {
		name   string
		change func(api *servicedef.Component, container *fleet.Container)
		want   string
		routes map[string]int
	}{
		{"nothing", func(*servicedef.Component, *fleet.Container) {}, "keep", nil},
		{"the image", func(_ *servicedef.Component, c *fleet.Container) { c.Image, c.Digest = "r.example/api:v0", newDigest }, "replace image digest", nil},
		{"a tag that has moved", func(_ *servicedef.Component, c *fleet.Container) { c.Digest = newDigest }, "replace digest", nil},
		{"it runs by the digest of the tag", func(_ *servicedef.Component, c *fleet.Container) {
			c.Image, c.Digest = "r.example/api@"+oldDigest, "sha256:local"
		}, "keep", nil},
		{"its ports", func(api *servicedef.Component, c *fleet.Container) {
			api.Ports, c.Ports = []string{"127.0.0.1:80:80", "9000-9001:9000-9001", "53:53/udp"}, []servicedef.Port{
				tcp("127.0.0.1", 80, 80), tcp("0.0.0.0", 9000, 9000), tcp("", 9001, 9001), {Host: 53, Container: 53, Protocol: "udp"},
			}
		}, "keep", nil},
		{"a port is on another address", func(api *servicedef.Component, c *fleet.Container) {
			api.Ports, c.Ports = []string{"127.0.0.1:80:80"}, []servicedef.Port{tcp("", 80, 80)}
		}, "replace ports", nil},
		{"a route has a fixed port in the container", func(api *servicedef.Component, c *fleet.Container) {
			api.Routes, c.Ports = []servicedef.Route{route("rest", 80), route("admin", 90)}, []servicedef.Port{tcp("", 2080, 80), tcp("", 2090, 90)}
		}, "keep", map[string]int{"rest": 2080, "admin": 2090}},
		{"a route listens on what it publishes", func(api *servicedef.Component, c *fleet.Container) {
			api.Routes, c.Ports = []servicedef.Route{route("rest", 0)}, []servicedef.Port{tcp("", 2080, 2080)}
		}, "keep", map[string]int{"rest": 2080}},
		{"two routes listen on $PORT, and their ports cannot be distinguished", func(api *servicedef.Component, c *fleet.Container) {
			api.Routes, c.Ports = []servicedef.Route{route("rest", 0), route("admin", 0)}, []servicedef.Port{tcp("", 2080, 2080), tcp("", 2090, 2090)}
		}, "replace ports routes", map[string]int{}},
		{"a route is not published", func(api *servicedef.Component, _ *fleet.Container) {
			api.Routes = []servicedef.Route{route("rest", 80)}
		}, "replace routes", map[string]int{}},
		{"a route on the host's network", func(api *servicedef.Component, _ *fleet.Container) {
			api.Network, api.Routes = "host", []servicedef.Route{route("rest", 80)}
		}, "keep", map[string]int{"rest": 80}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := adoptable()
			in.Digests = map[string]string{"r.example/api:v1": oldDigest}
			test.change(&in.Desired.Components[1], &in.Nodes["rift"][1])
			a := adoption.Make(in)
			require.Equal(t, map[string]string{"shop": "keep", "api": test.want}, after(t, in, a))
			if test.routes == nil {
				return
			}
			routes := map[string]int{}
			for _, r := range a.Members[1].Routes {
				routes[r.Name] = r.HostPort
			}
			require.Equal(t, test.routes, routes)
			for _, p := range in.Nodes["rift"][1].Ports {
				require.Contains(t, a.Ports["api"], servicedef.Port{Protocol: p.Protocol, Host: p.Host})
			}
		})
	}

	t.Run("its node", func(t *testing.T) {
		in := adoptable()
		in.Nodes["orion"], in.Nodes["rift"] = in.Nodes["rift"][1:2], in.Nodes["rift"][:1]
		require.Equal(t, map[string]string{"shop": "keep", "api": "replace node"}, after(t, in, adoption.Make(in)))
	})
	t.Run("a component is absent", func(t *testing.T) {
		in := adoptable()
		in.Nodes["rift"] = in.Nodes["rift"][:1]
		require.Equal(t, map[string]string{"shop": "keep", "api": "create component"}, after(t, in, adoption.Make(in)))
	})
}

func TestAnAdoptedContainerIsRecognisedByItsID(t *testing.T) {
	in := adoptable()
	a := adoption.Make(in)
	release := fleet.Release{Service: "shop", Number: 4, Active: true, Components: map[string]fleet.Member{}, Adopted: a.Adopted}
	for _, m := range a.Members {
		release.Components[m.Component] = m
	}
	observation := fleet.Observation{Node: "rift", At: time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)}
	for _, c := range in.Nodes["rift"] {
		observation.Containers = append(observation.Containers, c)
	}
	drift := func() string {
		var kinds []string
		for _, d := range watch.FindDrift(observation, []fleet.ServiceRecord{{Release: release}}, nil, nil) {
			kinds = append(kinds, string(d.Kind)+" "+d.Container)
		}
		return strings.Join(kinds, "; ")
	}
	require.Empty(t, drift())
	require.Empty(t, observation.Containers[1].Service, "the observation is not changed")
	observation.Containers[1].ID = "of another"
	require.Equal(t, "replaced shop-api", drift())
	observation.Containers[1].ID, observation.Containers[1].Name = "id-shop-api", "shop-api.prev"
	require.Equal(t, "renamed shop-api", drift())
	delete(release.Components, "api")
	require.Equal(t, "orphan shop-api.prev", drift())
}
