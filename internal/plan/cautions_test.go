package plan_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

func TestAPlanWarnsOfADependencyOnAnotherNode(t *testing.T) {
	for name, test := range map[string]struct {
		change func(api, web *servicedef.Component)
		want   string
	}{
		"that has no address": {func(_, _ *servicedef.Component) {}, "web depends on api, which is on node orion: its name leads nowhere on rift, and it has no hostname and no port of its own; "},
		"named with its port": {func(_, web *servicedef.Component) { web.Env = map[string]string{"BACKENDS": "api:8080"} }, "env.BACKENDS of web seems to name api, which is on node orion"},
		"named in a DSN": {func(_, web *servicedef.Component) {
			web.Env = map[string]string{"DSN": "user=shop host=shop-api port=5432"}
		}, "env.DSN of web seems to name api"},
		"named in a command": {func(_, web *servicedef.Component) { web.Cmd = []string{"--upstream", "api:8080"} }, "cmd of web seems to name api"},
		"named in a file": {func(_, web *servicedef.Component) {
			web.Files = []servicedef.File{{Target: "/etc/nginx.conf", Content: "proxy_pass http://api;"}}
		}, "file /etc/nginx.conf of web seems to name api"},
		"that has a hostname": {func(api, _ *servicedef.Component) { api.Routes[0].Hostname = servicedef.Hostnames{"api.example"} }, "no edge is admitted"},
		"that has a port":     {func(api, _ *servicedef.Component) { api.Ports = []string{"8080:8080"} }, ""},
		"another that is like it": {func(api, web *servicedef.Component) {
			api.Ports, web.Env = []string{"1:1"}, map[string]string{"A": "the-api:80 api-2:80 api.example:80 capi:1"}
		}, ""},
		"named, although it has one": {func(api, web *servicedef.Component) {
			api.Ports, web.Env = []string{"1:1"}, map[string]string{"A": "x,api:80"}
		}, "env.A of web seems to name api"},
	} {
		t.Run(name, func(t *testing.T) {
			in := steady()
			in.Release = fleet.Release{Service: "shop"}
			in.Nodes = map[string]plan.Node{"rift": {Reachable: true}, "orion": {Reachable: true}}
			api, web := &in.Desired.Components[0], &in.Desired.Components[1]
			api.Node = "orion"
			test.change(api, web)
			made, err := plan.Make(in)
			require.NoError(t, err)
			if test.want == "" {
				require.Empty(t, made.Warnings)
				return
			}
			require.Len(t, made.Warnings, 1)
			require.True(t, strings.HasPrefix(made.Warnings[0], test.want), made.Warnings[0])
		})
	}
}

func TestAPlanWarnsOfAStepDuringWhichRequestsWait(t *testing.T) {
	const warning = "api stops before its successor starts: its requests wait at the edges while step try runs, for at most 30s, and are refused after that"
	for name, test := range map[string]struct {
		step   servicedef.Step
		change func(in *plan.Input)
		want   []string
	}{
		"after the start":                   {servicedef.Step{When: servicedef.StepAfter}, func(*plan.Input) {}, []string{warning}},
		"before it, and it needs the other": {servicedef.Step{When: servicedef.StepBefore, DependsOn: []string{"api"}}, func(*plan.Input) {}, []string{warning}},
		"before it":                         {servicedef.Step{When: servicedef.StepBefore}, func(*plan.Input) {}, nil},
		"which starts first":                {servicedef.Step{When: servicedef.StepAfter}, func(in *plan.Input) { in.Desired.Components[0].Order = servicedef.StartFirst }, nil},
		"where there are no edges":          {servicedef.Step{When: servicedef.StepAfter}, func(in *plan.Input) { in.Release.Edges = nil }, []string{"no edge is admitted, so that nothing serves the hostnames of shop: mcp edge admit NAME"}},
		"where edges do not serve it":       {servicedef.Step{When: servicedef.StepAfter}, func(in *plan.Input) { in.Release.Definition.Components[0].Routes[0].Hostname = nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := steady()
			in.Desired.Components[0].Order = servicedef.StopFirst
			in.Release.Definition.Components[0].Routes[0].Hostname = servicedef.Hostnames{"api.example"}
			in.Release.Edges = []fleet.EdgeHost{{Name: "front"}}
			in.Desired.Components[0].Cmd = []string{"changed"}
			test.step.Name, test.step.Component = "try", "api"
			in.Desired.Steps, in.Steps = []servicedef.Step{test.step}, []servicedef.Step{test.step}
			test.change(&in)
			made, err := plan.Make(in)
			require.NoError(t, err)
			require.Equal(t, test.want, made.Warnings)
		})
	}
}
