package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

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
