package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

const (
	oldDigest = "sha256:old"
	newDigest = "sha256:new"
)

// shop is a service of two components on one node.
func shop() servicedef.Service {
	return servicedef.Service{
		Name: "shop", Node: "rift", Active: true,
		Components: []servicedef.Component{
			{Name: "api", Node: "rift", Image: "r.example/api:v1", Order: servicedef.StartFirst,
				Routes: []servicedef.Route{{Name: "rest", Port: 8443, Mode: "l4"}}},
			{Name: "web", Node: "rift", Image: "r.example/web:v1", Order: servicedef.StartFirst, DependsOn: []string{"api"}},
		},
	}
}

func digests() map[string]string {
	return map[string]string{"r.example/api:v1": oldDigest, "r.example/web:v1": oldDigest, "r.example/api:v2": newDigest}
}

// released is the release of a definition, as deployment 3 left it.
func released(definition servicedef.Service) fleet.Release {
	r := fleet.Release{Service: definition.Name, Number: 3, Newest: 3, Active: true, Definition: &definition, Components: map[string]fleet.Member{}}
	for _, c := range definition.Components {
		r.Components[c.Name] = fleet.Member{
			Component: c.Name, Container: servicedef.ContainerNameFor(definition.Name, c.Name), Node: c.Node,
			Deployment: 3, Image: c.Image, Digest: oldDigest, Spec: plan.SpecHash(c, oldDigest), Active: true,
		}
	}
	return r
}

// running are the containers that a release should have on a node.
func running(r fleet.Release, node string) plan.Node {
	n := plan.Node{Reachable: true}
	for _, m := range r.Members() {
		if m.Node == node {
			n.Containers = append(n.Containers, container(m, m.Container))
		}
	}
	return n
}

func container(m fleet.Member, name string) fleet.Container {
	return fleet.Container{Name: name, Service: "shop", Component: m.Component, Deployment: m.Deployment, Spec: m.Spec, Running: true}
}

// steady is a service that runs as released.
func steady() plan.Input {
	definition := shop()
	r := released(definition)
	return plan.Input{Desired: shop(), Release: r, Nodes: map[string]plan.Node{"rift": running(r, "rift")}, Digests: digests()}
}

// actions renders a plan's steps: "~api@rift =web@rift".
func actions(p plan.Plan) string {
	signs := map[plan.Action]string{plan.Create: "+", plan.Replace: "~", plan.Keep: "=", plan.Stop: ".", plan.Remove: "-"}
	var words []string
	for _, s := range p.Steps {
		words = append(words, signs[s.Action]+s.Component+"@"+s.Node)
	}
	return strings.Join(words, " ")
}

func TestMakeDecidesPerComponent(t *testing.T) {
	tests := map[string]struct {
		change  func(in *plan.Input)
		want    string
		reasons []string // of the first step
	}{
		"what runs as released is kept": {
			func(*plan.Input) {}, "=api@rift =web@rift", nil},
		"a first deploy creates everything": {
			func(in *plan.Input) {
				in.Release, in.Nodes = fleet.Release{Service: "shop"}, map[string]plan.Node{"rift": {Reachable: true}}
			}, "+api@rift +web@rift", []string{"component"}},
		"a new tag with a new digest replaces": {
			func(in *plan.Input) { in.Desired.Components[0].Image = "r.example/api:v2" },
			"~api@rift =web@rift", []string{"image", "digest"}},
		"a tag that moved replaces": {
			func(in *plan.Input) { in.Digests["r.example/api:v1"] = newDigest },
			"~api@rift =web@rift", []string{"digest"}},
		"an image still to be built replaces": {
			func(in *plan.Input) { in.Digests["r.example/api:v1"] = "" },
			"~api@rift =web@rift", []string{"digest"}},
		"a changed variable replaces, and its value is not shown": {
			func(in *plan.Input) { in.Desired.Components[0].Env = map[string]string{"KEY": "secret"} },
			"~api@rift =web@rift", []string{"env.KEY"}},
		"a secret that becomes a file replaces": {
			func(in *plan.Input) { in.Desired.Components[0].Secrets = []servicedef.Secret{{Source: "key"}} },
			"~api@rift =web@rift", []string{"secrets"}},
		"a secret that becomes a variable replaces": {
			func(in *plan.Input) { in.Desired.Components[0].SecretEnv = map[string]string{"KEY": "key"} },
			"~api@rift =web@rift", []string{"secret_env.KEY"}},
		"a route's public port needs no new container": {
			func(in *plan.Input) {
				in.Desired.Components[0].Routes = []servicedef.Route{{Name: "rest", Port: 9443, Mode: "l4"}}
			},
			"=api@rift =web@rift", []string{"routes.rest.port"}},
		"a route's protocol needs one": {
			func(in *plan.Input) {
				in.Desired.Components[0].Routes = []servicedef.Route{{Name: "rest", Port: 8443, Mode: "l4", Protocol: "udp"}}
			},
			"~api@rift =web@rift", []string{"routes"}},
		"a container that is gone is created": {
			func(in *plan.Input) {
				in.Nodes["rift"] = plan.Node{Reachable: true, Containers: in.Nodes["rift"].Containers[1:]}
			}, "+api@rift =web@rift", []string{"container"}},
		"a container that was stopped by hand is replaced": {
			func(in *plan.Input) { in.Nodes["rift"].Containers[0].Running = false },
			"~api@rift =web@rift", []string{"state"}},
		"force replaces what has not changed": {
			func(in *plan.Input) { in.Force = true }, "~api@rift ~web@rift", []string{"force"}},
		"only the named component is touched": {
			func(in *plan.Input) { in.Force, in.Only = true, []string{"web"} }, "=api@rift ~web@rift", nil},
		"an inactive service is stopped": {
			func(in *plan.Input) { in.Desired.Active = false }, ".api@rift .web@rift", []string{"active"}},
		"an inactive service that is stopped already is left alone": {
			func(in *plan.Input) {
				in.Desired.Active = false
				in.Nodes["rift"].Containers[0].Running = false
				in.Nodes["rift"].Containers[1].Running = false
			}, "=api@rift =web@rift", nil},
		"a component that the definition drops is removed": {
			func(in *plan.Input) { in.Desired.Components = in.Desired.Components[:1] }, "=api@rift -web@rift", nil},
		"a component that moves is replaced from its old node": {
			func(in *plan.Input) {
				in.Desired.Components[0].Node = "orion"
				in.Nodes["orion"] = plan.Node{Reachable: true}
			}, "~api@orion =web@rift", []string{"node"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := steady()
			test.change(&in)
			made, err := plan.Make(in)
			require.NoError(t, err)
			require.Equal(t, test.want, actions(made))
			var fields []string
			for _, c := range made.Steps[0].Changes {
				fields = append(fields, c.Field)
				require.NotContains(t, c.From+c.To, "secret")
			}
			require.Equal(t, test.reasons, fields)
			require.Empty(t, made.Recovery)
		})
	}
}

func TestAContainerWithMissingSecretsIsNotStarted(t *testing.T) {
	for name, test := range map[string]struct {
		missing []string
		change  func(c *servicedef.Component)
		refused string
	}{
		"none is needed":            {[]string{"key"}, func(*servicedef.Component) {}, ""},
		"those needed are there":    {[]string{"other"}, func(c *servicedef.Component) { c.Secrets = []servicedef.Secret{{Source: "key"}} }, ""},
		"a file":                    {[]string{"key"}, func(c *servicedef.Component) { c.Secrets = []servicedef.Secret{{Source: "cert"}, {Source: "key"}} }, "key"},
		"a variable":                {[]string{"key"}, func(c *servicedef.Component) { c.SecretEnv = map[string]string{"KEY": "key"} }, "key"},
		"the first of two is named": {[]string{"b", "a"}, func(c *servicedef.Component) { c.Secrets = []servicedef.Secret{{Source: "b"}, {Source: "a"}} }, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			in := steady()
			rift := in.Nodes["rift"]
			rift.MissingSecrets = test.missing
			in.Nodes["rift"] = rift
			test.change(&in.Desired.Components[1])
			_, err := plan.Make(in)
			if test.refused == "" {
				require.NoError(t, err)
				return
			}
			var missing *plan.MissingSecretError
			require.ErrorAs(t, err, &missing)
			require.Equal(t, plan.MissingSecretError{Service: "shop", Component: "web", Node: "rift", Secret: test.refused}, *missing)
		})
	}
	in := steady() // a container that runs has got them once
	in.Desired.Components[1].Secrets = []servicedef.Secret{{Source: "key"}}
	in.Release = released(in.Desired)
	in.Nodes["rift"] = plan.Node{Reachable: true, Containers: running(in.Release, "rift").Containers, MissingSecrets: []string{"key"}}
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, "=api@rift =web@rift", actions(made))
}

func TestANodeThatIsTooOldForAKeyGetsNoNewContainer(t *testing.T) {
	old := func(in *plan.Input, keys ...string) {
		rift := in.Nodes["rift"]
		rift.UnknownKeys = keys
		in.Nodes["rift"] = rift
	}
	in := steady()
	in.Desired.Components[1].User = "1000"
	old(&in, "memory")
	_, err := plan.Make(in)
	require.NoError(t, err, "no component sets it")
	old(&in, "user")
	_, err = plan.Make(in)
	var unknown *plan.UnknownKeyError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, plan.UnknownKeyError{Component: "web", Node: "rift", Key: "user"}, *unknown)

	in = steady()
	in.Desired.Components[1].User = "1000"
	in.Release = released(in.Desired)
	in.Nodes["rift"] = plan.Node{Reachable: true, Containers: running(in.Release, "rift").Containers, UnknownKeys: []string{"user"}}
	made, err := plan.Make(in)
	require.NoError(t, err, "what runs stays")
	require.Equal(t, "=api@rift =web@rift", actions(made))
}

// Another hash would replace every container that an earlier mcp has created.
func TestAComponentWithoutSecretsHasTheHashOfFormerVersions(t *testing.T) {
	require.Equal(t, "372078919f5490b0", plan.SpecHash(shop().Components[0], oldDigest))
}

// A component that moves gets the volumes of its new node, and the plan says so.
func TestAMoveLeavesDataBehind(t *testing.T) {
	in := steady()
	definition := shop()
	definition.Components[0].Volumes = []string{"shop-data:/data", "/srv/shop:/srv", "shop-data:/copy:ro"}
	in.Release.Definition = &definition
	in.Desired = shop()
	in.Desired.Components[0].Node = "orion"
	in.Nodes["orion"] = plan.Node{Reachable: true}
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, []plan.Change{
		{Field: "node", From: "rift", To: "orion"},
		{Field: "volume shop-data", From: "data on rift", To: "not copied to orion"},
		{Field: "volume /srv/shop", From: "data on rift", To: "not copied to orion"},
	}, made.Steps[0].Changes)
}

// Nor does the default bound of a log replace a container.
func TestTheHashHoldsTheBoundOfALogThatIsNotTheDefault(t *testing.T) {
	in := steady()
	in.Desired.Components[1].LogSize = "50m"
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, "=api@rift =web@rift", actions(made))

	in.Desired.Components[1].LogSize = "20m"
	made, err = plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, "=api@rift ~web@rift", actions(made))
	require.Equal(t, []plan.Change{{Field: "log_size", From: "50MiB", To: "20MiB"}}, made.Steps[1].Changes)
}

func TestMakeDistinguishesUnchangedFromANewDefinition(t *testing.T) {
	same, err := plan.Make(steady())
	require.NoError(t, err)
	require.True(t, same.Unchanged())

	in := steady()
	in.Desired.Components[0].Routes[0].Hostname = servicedef.Hostnames{"shop.example"}
	in.Release.Definition.Components[0].Routes = []servicedef.Route{{Name: "rest", Port: 8443, Mode: "l4"}}
	renamed, err := plan.Make(in)
	require.NoError(t, err)
	require.False(t, renamed.Unchanged())
	require.False(t, renamed.TouchesContainers())
}

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

func TestMakeRefusesTheNameOfAForeignContainer(t *testing.T) {
	in := steady()
	in.Release = fleet.Release{Service: "shop"}
	in.Nodes["rift"] = plan.Node{Reachable: true, Containers: []fleet.Container{{Name: "shop-api", Running: true}}}
	_, err := plan.Make(in)
	require.EqualError(t, err, "container shop-api exists on node rift and was not started by mcp")
}

// The name may be that of a container that is gone and that its service gets again.
func TestMakeRefusesTheNameOfAnothersContainer(t *testing.T) {
	in := steady()
	in.Desired.Components[0].User = "1000"
	in.Release.Others = []fleet.Other{{Service: "shop-api", Node: "orion", Container: "shop-api"}, {Service: "shop-x", Node: "rift", Container: "shop-x"}}
	_, err := plan.Make(in)
	require.NoError(t, err)
	in.Release.Others[0].Node = "rift"
	_, err = plan.Make(in)
	require.EqualError(t, err, "container shop-api on node rift is one of service shop-api's release")
}

func TestMakeRefusesAnUnknownComponent(t *testing.T) {
	in := steady()
	in.Only = []string{"apii"}
	_, err := plan.Make(in)
	require.EqualError(t, err, "service shop has no component apii")
}

func TestStartsFollowDependencies(t *testing.T) {
	in := steady()
	in.Force = true
	made, err := plan.Make(in)
	require.NoError(t, err)
	waves := made.Starts()
	require.Len(t, waves, 2)
	require.Equal(t, "api", waves[0][0].Component)
	require.Equal(t, "web", waves[1][0].Component)
}

func TestNodesOfSeparatesRequiredFromOptional(t *testing.T) {
	in := steady()
	in.Desired.Components[0].Node = "orion"
	in.Desired.Components[1].Node = "orion"
	required, optional := plan.NodesOf(in.Desired, in.Release)
	require.Equal(t, []string{"orion"}, required)
	require.Equal(t, []string{"rift"}, optional)
}

func TestAnUnreachableOldNodeIsReported(t *testing.T) {
	in := steady()
	in.Desired.Components[0].Node, in.Desired.Components[1].Node = "orion", "orion"
	in.Nodes = map[string]plan.Node{"orion": {Reachable: true}, "rift": {}}
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, []string{"rift"}, made.Unreachable)
	require.Equal(t, "~api@orion ~web@orion", actions(made))
}

func TestMergeTakesOnlyTheNamedComponents(t *testing.T) {
	old := shop()
	changed := shop()
	changed.Components[0].Image, changed.Components[1].Image = "r.example/api:v2", "r.example/web:v2"
	merged := plan.Merge(&old, changed, []string{"api"})
	api, _ := merged.Component("api")
	web, _ := merged.Component("web")
	require.Equal(t, "r.example/api:v2", api.Image)
	require.Equal(t, "r.example/web:v1", web.Image)
	require.Equal(t, changed, plan.Merge(nil, changed, []string{"api"}))

	changed.Active = false
	same := plan.Merge(&old, changed, []string{"web"})
	require.True(t, same.Active, "one component's deploy does not stop the others")
	require.Equal(t, []string{"api", "web"}, []string{same.Components[0].Name, same.Components[1].Name}, "in their order")
}

func TestMembersAreWhatTheReleaseBecomes(t *testing.T) {
	in := steady()
	in.Desired.Components = in.Desired.Components[:1]
	in.Desired.Components[0].Routes = []servicedef.Route{{Name: "rest", Port: 9443, Mode: "l7", Hostname: servicedef.Hostnames{"shop.example"}}}
	api := in.Release.Components["api"]
	api.Routes = []fleet.Route{{Name: "rest", Port: 8443, Mode: "l4", HostPort: 23456}}
	in.Release.Components["api"] = api
	made, err := plan.Make(in)
	require.NoError(t, err)
	members := plan.Members(in.Desired, in.Release, made, nil)
	require.Len(t, members, 1, "web was removed")
	require.Equal(t, []fleet.Route{{Name: "rest", Port: 9443, Mode: "l7", Hostname: "shop.example", HostPort: 23456}}, members[0].Routes)
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

// What became of a variable is said, and not its value.
func TestAPlanSaysWhatBecomesOfVariables(t *testing.T) {
	in := steady()
	in.Release.Definition.Components[0].Env = map[string]string{"OLD": "1", "BOTH": "1", "SAME": "1"}
	in.Release.Definition.Components[0].SecretEnv = map[string]string{"KEY": "old"}
	in.Desired.Components[0].Env = map[string]string{"NEW": "1", "BOTH": "2", "SAME": "1"}
	in.Desired.Components[0].SecretEnv = map[string]string{"KEY": "new"}
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, []plan.Change{
		{Field: "env.BOTH", To: "changed"}, {Field: "env.NEW", To: "added"}, {Field: "env.OLD", To: "removed"},
		{Field: "secret_env.KEY", To: "changed"},
	}, made.Steps[0].Changes)
}

// A definition that changes while the service is stopped replaces containers once it is
// active again.
func TestAPlanTellsAnOlderContainerFromOneThatWasChanged(t *testing.T) {
	in := steady()
	in.Desired.Components[0].Env = map[string]string{"KEY": "1"}
	while := in.Desired
	in.Release.Definition = &while // released while it was stopped: no container was started
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, plan.Replace, made.Steps[0].Action)
	require.Equal(t, []plan.Change{{Field: "container", From: "started with other settings", To: "with those of the definition"}}, made.Steps[0].Changes)

	in = steady()
	in.Nodes["rift"].Containers[0].Spec = "another"
	made, err = plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, []plan.Change{{Field: "container", From: "changed by hand", To: "as released"}}, made.Steps[0].Changes)
}

// Every key of a component is named when it changes, whether its container depends on it
// or not.
func TestAPlanNamesEveryKeyThatChanges(t *testing.T) {
	keys := map[string]func(c *servicedef.Component){
		"depends_on":          func(c *servicedef.Component) { c.DependsOn = []string{"web"} },
		"order":               func(c *servicedef.Component) { c.Order = servicedef.StopFirst },
		"drain":               func(c *servicedef.Component) { c.Drain++ },
		"health.http":         func(c *servicedef.Component) { c.Health.HTTP = "/" },
		"health.host":         func(c *servicedef.Component) { c.Health.Host = "shop.example" },
		"health.headers.X-A":  func(c *servicedef.Component) { c.Health.Headers = map[string]string{"X-A": "b"} },
		"health.status":       func(c *servicedef.Component) { c.Health.Status = servicedef.Statuses{204} },
		"health.tcp":          func(c *servicedef.Component) { c.Health.TCP = true },
		"health.port":         func(c *servicedef.Component) { c.Health.Port = "rest" },
		"health.cmd":          func(c *servicedef.Component) { c.Health.Cmd = []string{"true"} },
		"health.interval":     func(c *servicedef.Component) { c.Health.Interval++ },
		"health.timeout":      func(c *servicedef.Component) { c.Health.Timeout++ },
		"health.min_healthy":  func(c *servicedef.Component) { c.Health.MinHealthy++ },
		"health.retries":      func(c *servicedef.Component) { c.Health.Retries++ },
		"health.start_period": func(c *servicedef.Component) { c.Health.StartPeriod++ },
		"routes.rest.port":    func(c *servicedef.Component) { c.Routes[0].Port++ },
		"routes.rest.mode":    func(c *servicedef.Component) { c.Routes[0].Mode = "l7" },
		"routes.rest.hostname": func(c *servicedef.Component) {
			c.Routes[0].Hostname = servicedef.Hostnames{"shop.example"}
		},
		"routes.rest.redirect_from":  func(c *servicedef.Component) { c.Routes[0].RedirectFrom = []string{"www.shop.example"} },
		"routes.rest.path":           func(c *servicedef.Component) { c.Routes[0].Path = "/api" },
		"routes.rest.strip":          func(c *servicedef.Component) { c.Routes[0].Strip = true },
		"routes.rest.tls":            func(c *servicedef.Component) { c.Routes[0].TLS = new(bool) },
		"routes.rest.h2c":            func(c *servicedef.Component) { c.Routes[0].H2C = true },
		"routes.rest.compress":       func(c *servicedef.Component) { c.Routes[0].Compress = true },
		"routes.rest.basic_auth.ann": func(c *servicedef.Component) { c.Routes[0].BasicAuth = map[string]string{"ann": "$2y$10$hash"} },
		"routes.rest.allow":          func(c *servicedef.Component) { c.Routes[0].Allow = []string{"10.0.0.0/8"} },
		"routes.rest.proxy_protocol": func(c *servicedef.Component) { c.Routes[0].ProxyProtocol = "v2" },
		"routes.rest.edge":           func(c *servicedef.Component) { c.Routes[0].Edge = true },
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		t.Run(key, func(t *testing.T) {
			in := steady()
			in.Desired.Components = slices.Clone(in.Desired.Components)
			in.Desired.Components[1].DependsOn = nil
			api := &in.Desired.Components[0]
			api.Routes = slices.Clone(api.Routes)
			keys[key](api)
			made, err := plan.Make(in)
			require.NoError(t, err)
			for _, step := range made.Steps {
				require.Equal(t, plan.Keep, step.Action)
				if step.Component == "api" {
					require.Len(t, step.Changes, 1)
					require.Equal(t, key, step.Changes[0].Field)
				}
			}
			api.User = "1000" // and beside what replaces the container
			made, err = plan.Make(in)
			require.NoError(t, err)
			i := slices.IndexFunc(made.Steps, func(s plan.Step) bool { return s.Component == "api" })
			require.Equal(t, plan.Replace, made.Steps[i].Action)
			require.Len(t, made.Steps[i].Changes, 2)
		})
	}
}

func TestAComponentThatHasDoneItsWorkIsKept(t *testing.T) {
	in := steady()
	in.Desired.Components[1].Restart = "no"
	definition := in.Desired
	in.Release = released(definition)
	node := running(in.Release, "rift")
	node.Containers[1].Running, node.Containers[1].Done = false, true
	in.Nodes["rift"] = node
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, "=api@rift =web@rift", actions(made))
	require.True(t, made.Unchanged())
	require.Empty(t, plan.Leftovers(in.Release, in.Nodes), "nor is it started again")

	in.Force = true
	made, err = plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, "~api@rift ~web@rift", actions(made))
	require.False(t, made.Steps[1].OldActive, "an undo does not run it again")

	in.Force = false
	node.Containers[1].Done = false
	made, err = plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, "=api@rift ~web@rift", actions(made), "it has failed")
}
