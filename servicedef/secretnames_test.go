package servicedef_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

func TestSecretsOfValuesAreNeeded(t *testing.T) {
	s := parse(t, edit(t, "# api\n", `env = { URL = "x:{secret:db|urlencode}@{secret:host}", B = "{{secret:none}" }`+"\n"+
		`secret_env = { KEY = "key" }`+"\n"+`secrets = ["db"]`+"\n"))
	api, _ := s.Component("api")
	require.Equal(t, []string{"db", "host", "key"}, api.SecretNames())
	require.Equal(t, []string{"db", "host"}, api.ComposedNames())
}

func TestValuesWithMistakesAreRefused(t *testing.T) {
	for value, want := range map[string]string{
		"a{secret:db":        "shop.toml:11: components[0].env.URL: has a {secret: without the } at its end",
		"{secret:}":          `components[0].env.URL: must name a secret in {secret:…}, such as {secret:db}, not ""`,
		"{secret:a/b}":       `must name a secret in {secret:…}, such as {secret:db}, not "a/b"`,
		"{secret:db|base64}": `has the filter "base64" after db, and the only one is urlencode`,
		"{secret:db|}":       `has the filter "" after db`,
		"{secret: db}":       `not " db"`,
		"{{{secret:db":       "without the }",
	} {
		found := problems(t, edit(t, "# api\n", "env = { URL = '"+value+"' }\n"))
		require.Len(t, found, 1, value)
		require.ErrorContains(t, found, want, value)
	}
	step := edit(t, "# db\n", "[[steps]]\nname = \"migrate\"\ncomponent = \"api\"\ncmd = [\"x\"]\nenv = { URL = \"{secret:\" }\n")
	require.ErrorContains(t, problems(t, step), "steps[0].env.URL: has a {secret:")
}

func TestTheSecretOfAnEnvironmentIsThatOfItsService(t *testing.T) {
	has := func(names ...string) func(string) bool {
		return func(name string) bool {
			for _, n := range names {
				if n == name {
					return true
				}
			}
			return false
		}
	}
	staging := servicedef.Service{Name: "shop-staging", Environment: "staging"}
	for _, c := range []struct {
		service         servicedef.Service
		reference, want string
		has             func(string) bool
	}{
		{servicedef.Service{Name: "shop"}, "db", "db", has("db")},
		{servicedef.Service{Name: "shop"}, "db", "", has("other")},
		{servicedef.Service{Name: "shop-staging"}, "db-staging", "", has("db")},
		{staging, "db-staging", "db", has("db")},
		{staging, "db-staging", "db-staging", has("db", "db-staging")},
		{staging, "shop-staging-db", "shop-db", has("shop-db")},
		{staging, "shop-staging", "shop", has("shop")},
		{staging, "shop-stagingdb", "", has("shopdb")},
		{staging, "db", "db", has("db")},
		{staging, "other-staging", "", has("db")},
		{staging, "db", "db-staging", has("db-staging")},
		{staging, "shop-db", "shop-staging-db", has("shop-staging-db")},
	} {
		name, ok := c.service.SecretName(c.reference, c.has)
		require.Equal(t, c.want, name, c.reference)
		require.Equal(t, c.want != "", ok, c.reference)
	}
}
