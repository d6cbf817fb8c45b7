package versions_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/versions"
	"github.com/metacircular/mcp/servicedef"
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

func TestTheNewestVersionsAreThoseOfTheServicesOwnSecrets(t *testing.T) {
	s := shop()
	s.Components[0].SecretEnv = map[string]string{"A": "db", "B": "by-hand"}
	s.Components[0].Env = map[string]string{"URL": "{secret:user}"}
	s.Components[1].Versions = servicedef.SecretVersions{"old": {Name: "old", Version: 1}}
	release := fleet.Release{Secrets: map[string]fleet.KeptSecret{"db": {Newest: 7}, "user": {Newest: 2}, "removed": {}, "other": {Newest: 1}}}
	made := versions.Newest(s, release, func(component string) bool { return component == s.Components[0].Name })
	require.Equal(t, servicedef.SecretVersions{"db": {Name: "db", Version: 7}, "user": {Name: "user", Version: 2}}, made.Components[0].Versions)
	require.Equal(t, s.Components[1].Versions, made.Components[1].Versions, "what is not deployed keeps its versions")
	require.Nil(t, s.Components[0].Versions, "the definition that was given is not changed")
	require.Equal(t, s.Hash(), made.Hash())
	require.Equal(t, s, versions.Newest(s, fleet.Release{}, func(string) bool { return false }))
}

func TestASecretOfAnEnvironmentIsFound(t *testing.T) {
	s := servicedef.Service{Name: "shop-staging", Environment: "staging", Components: []servicedef.Component{
		{Name: "api", SecretEnv: map[string]string{"A": "db-staging"}, Env: map[string]string{"URL": "{secret:db}"}},
	}}
	for _, name := range []string{"db", "db-staging"} {
		release := fleet.Release{Secrets: map[string]fleet.KeptSecret{name: {Newest: 3}}}
		made := versions.Newest(s, release, func(string) bool { return true })
		require.Equal(t, servicedef.SecretVersions{"db": {Name: name, Version: 3}, "db-staging": {Name: name, Version: 3}}, made.Components[0].Versions)
	}
}

func TestARotationIsOfOneSecret(t *testing.T) {
	s := shop()
	s.Components[0].SecretEnv = map[string]string{"A": "db", "B": "user"}
	s.Components[0].Versions = servicedef.SecretVersions{"db": {Name: "db", Version: 6}, "user": {Name: "user", Version: 1}}
	s.Components[1].Secrets = []servicedef.Secret{{Source: "user"}}
	s.Components[1].Versions = servicedef.SecretVersions{"user": {Name: "user", Version: 1}}
	release := fleet.Release{Definition: &s, Secrets: map[string]fleet.KeptSecret{"db": {Newest: 7}, "user": {Newest: 2}}}
	made, components := versions.Rotated(release, "db")
	require.Equal(t, []string{s.Components[0].Name}, components)
	require.Equal(t, servicedef.SecretVersions{"db": {Name: "db", Version: 7}, "user": {Name: "user", Version: 1}}, made.Components[0].Versions)
	require.Equal(t, s.Components[1].Versions, made.Components[1].Versions)
	_, components = versions.Rotated(release, "nothing")
	require.Empty(t, components)
}
