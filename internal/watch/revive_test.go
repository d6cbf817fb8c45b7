package watch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
	"github.com/metacircular/mcp/servicedef"
)

func TestRevive(t *testing.T) {
	components := []servicedef.Component{
		{Name: "db", Node: "rift", Image: "db:1", Restart: "unless-stopped"},
		{Name: "api", Node: "rift", Image: "api:1", Restart: "always", DependsOn: []string{"db"}},
		{Name: "job", Node: "rift", Image: "job:1", Restart: "on-failure:3"},
		{Name: "once", Node: "rift", Image: "once:1", Restart: "no"},
		{Name: "web", Node: "orion", Image: "web:1", Restart: "always"},
	}
	definition := servicedef.Service{Name: "shop", Active: true, Components: components}
	release := fleet.Release{Service: "shop", Number: 7, Definition: &definition, Components: map[string]fleet.Member{}}
	stopped := map[string]fleet.Container{}
	for _, c := range components {
		name := servicedef.ContainerNameFor("shop", c.Name)
		release.Components[c.Name] = fleet.Member{Component: c.Name, Container: name, Node: c.Node, Deployment: 7, Active: true}
		stopped[c.Name] = fleet.Container{Name: name, Service: "shop", Component: c.Name, Deployment: 7}
	}
	with := func(component string, change func(*fleet.Container)) fleet.Container {
		c := stopped[component]
		change(&c)
		return c
	}
	for name, test := range map[string]struct {
		found []fleet.Container
		want  []string
	}{
		"what others need comes first":    {[]fleet.Container{stopped["api"], stopped["db"]}, []string{"shop-db", "shop-api"}},
		"policies that end with a boot":   {[]fleet.Container{stopped["job"], stopped["once"]}, nil},
		"what runs already":               {[]fleet.Container{with("db", func(c *fleet.Container) { c.Running = true })}, nil},
		"what is not the release's":       {[]fleet.Container{with("db", func(c *fleet.Container) { c.Deployment = 8 })}, nil},
		"what waits under another name":   {[]fleet.Container{with("db", func(c *fleet.Container) { c.Name += fleet.PrevSuffix })}, nil},
		"what should run on another node": {[]fleet.Container{stopped["web"]}, nil},
		"a foreign container":             {[]fleet.Container{{Name: "shop-db"}}, nil},
		"nothing":                         {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var names []string
			for _, stopped := range watch.Revive(release, "rift", test.found) {
				names = append(names, stopped.Name)
			}
			require.Equal(t, test.want, names)
		})
	}
	t.Run("what was stopped on purpose", func(t *testing.T) {
		m := release.Components["db"]
		m.Active = false
		release.Components["db"] = m
		require.Empty(t, watch.Revive(release, "rift", []fleet.Container{stopped["db"]}))
	})
}
