package servicedef_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedeftest"
)

const settings = servicedeftest.Environments

// inEnvironments parses a definition and returns its services by name.
func inEnvironments(t *testing.T, text string) map[string]*servicedef.Service {
	t.Helper()
	all, err := servicedef.ParseAll([]byte(text), "shop.toml")
	require.NoError(t, err)
	byName := map[string]*servicedef.Service{}
	for _, s := range all {
		byName[s.Name] = s
	}
	require.Len(t, byName, len(all))
	return byName
}

func TestAnEnvironmentChangesItsServiceAlone(t *testing.T) {
	all := inEnvironments(t, settings)
	require.Len(t, all, 3)
	shop, staging, test := all["shop"], all["shop-staging"], all["shop-test"]

	api := shop.Components[0]
	require.Equal(t, "registry.example:5000/shop-api:v1", api.Image)
	require.Equal(t, map[string]string{"PASSWORD": "shop-db"}, api.SecretEnv)
	require.Equal(t, []string{"shop-cache:/cache", "uploads:/uploads:ro", "/etc/shop:/etc/shop:ro"}, api.Volumes)
	require.Len(t, api.Routes, 1)

	api = staging.Components[0]
	require.Equal(t, "orion", staging.Node)
	require.Equal(t, "orion", api.Node)
	require.Equal(t, "orion", staging.Components[1].Node)
	require.Equal(t, "registry.example:5000/shop-api:v2", api.Image)
	require.Equal(t, map[string]string{"LOG_LEVEL": "debug", "COLOUR": "blue", "EXTRA": "1"}, api.Env)
	require.Equal(t, []string{"serve"}, api.Cmd, "an array is replaced")
	require.Equal(t, []string{"check"}, api.Health.Cmd)
	require.Empty(t, api.Health.HTTP, "the kinds of a health check exclude one another")
	require.Empty(t, api.Health.Host)
	require.Equal(t, 5, api.Health.Retries)
	require.Equal(t, servicedef.Hostnames{"staging.shop.example"}, api.Routes[0].Hostname)
	require.Equal(t, 443, api.Routes[0].Port)
	require.Equal(t, "admin", api.Routes[1].Name)

	api = test.Components[0]
	require.Equal(t, "rift", api.Node)
	require.Equal(t, "registry.example:5000/shop-api:v1", api.Image)
	require.Equal(t, "/healthz", api.Health.HTTP)
}

func TestAnEnvironmentHasItsOwnSecretsAndVolumes(t *testing.T) {
	all := inEnvironments(t, settings)
	api := all["shop-test"].Components[0]
	require.Equal(t, map[string]string{"PASSWORD": "shop-test-db"}, api.SecretEnv)
	require.Equal(t, []string{"shop-test-cache:/cache", "uploads-test:/uploads:ro", "/etc/shop:/etc/shop:ro"}, api.Volumes)

	require.Equal(t, []servicedef.Secret{{Source: "shop-test-tls", Target: "shop-tls"}, {Source: "key-test", Target: "key", Mode: "0400"}}, api.Secrets)

	named := settings + `[[env.test.components]]
name = "api"
secret_env = { PASSWORD = "shop-db" }
volumes = ["shop-cache:/cache"]
secrets = [{ source = "shop-tls", target = "tls" }]
`
	api = inEnvironments(t, named)["shop-test"].Components[0]
	require.Equal(t, map[string]string{"PASSWORD": "shop-db"}, api.SecretEnv, "what an environment names is taken as it is")
	require.Equal(t, []string{"shop-cache:/cache"}, api.Volumes)
	require.Equal(t, []servicedef.Secret{{Source: "shop-tls", Target: "tls"}}, api.Secrets)
}

func TestAMistakeOfAnEnvironmentHasItsLine(t *testing.T) {
	for _, test := range []struct{ name, added, key, message, at string }{
		{"an unknown key", "[env.qa]\nnod = \"x\"\n", "env.qa.nod", "unknown key, did you mean node?", "nod = "},
		{"a number of replicas", "[[env.qa.components]]\nname = \"db\"\nreplicas = 2\n", "env.qa.components[0].replicas", "unknown key: a component is one container; write a component for each, with routes of the same hostname, port and path", "replicas = 2"},
		{"an unknown component", "[[env.qa.components]]\nname = \"apii\"\n", "env.qa.components[0].name", `the service has no component "apii" to change in this environment: api, db`, `name = "apii"`},
		{"a component without a name", "[[env.qa.components]]\nimage = \"a.example/x:1\"\n", "env.qa.components[0].name", "is required: it names the component that the environment changes; the service has api, db", "[[env.qa.components]]"},
		{"components that are no tables", "[env.qa]\ncomponents = \"api\"\n", "env.qa.components", `must be an array of tables, each under its own [[env.qa.components]]`, "components = \"api\""},
		{"a bad image", "[[env.qa.components]]\nname = \"db\"\nimage = \"x\"\n", "env.qa.components[0].image", `"x" must begin with the host of its image registry, as in "docker.io/library/x"`, `image = "x"`},
		{"a wrong type", "[env.qa]\nnode = 3\n", "env.qa.node", "must be a string, not an integer", "node = 3"},
		{"a bad route that is added", "[[env.qa.components]]\nname = \"db\"\n[[env.qa.components.routes]]\nname = \"sql\"\nport = 99999\n", "env.qa.components[0].routes[0].port", "must be between 1 and 65535", "port = 99999"},
		{"a name", "[env.qa]\nname = \"x\"\n", "env.qa.name", "must be left out: the service is shop-qa in this environment", `name = "x"`},
		{"a bad name", "[env.QA]\nnode = \"orion\"\n", "env.QA", `makes the service "shop-QA", whose name must be a DNS label: at most 63 of a-z, 0-9 and inner -`, "[env.QA]"},
		{"what it inherits", "[[env.qa.components]]\nname = \"db\"\nnetwork = \"none\"\nports = [\"1:1\"]\n", "env.qa.components[0].network", `"none" cannot publish the routes and ports`, `network = "none"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := settings + test.added
			found := problems(t, text)
			require.Len(t, found, 1, found)
			require.Equal(t, test.key, found[0].Key)
			require.Equal(t, test.message, found[0].Message)
			require.Equal(t, lineOf(t, text, test.at), found[0].Line)
		})
	}
}

func TestAMistakeOfTheDefinitionIsReportedOnce(t *testing.T) {
	text := strings.Replace(settings, `image = "docker.io/library/postgres:17"`, `image = "postgres"`, 1)
	require.Len(t, problems(t, text), 1)

	text = strings.Replace(settings, "[[components]]\nname = \"db\"", "[[components]]\nname = \"db\"\nnode = \"x_y\"", 1)
	require.Len(t, problems(t, text), 1)
}

func TestAnEnvironmentWritesToNoDirectoryThatItInherits(t *testing.T) {
	text := strings.Replace(settings, "shop-cache:/cache", "/srv/shop:/data", 1)
	found := problems(t, text)
	require.Len(t, found, 1, "staging is on another node")
	require.Equal(t, "components[0].volumes", found[0].Key)
	require.Equal(t, "in environment test component api would write to /srv/shop on node rift, as the service itself does: "+
		"give it other volumes in [[env.test.components]], or the same ones if that is meant", found[0].Message)

	same := text + "[[env.test.components]]\nname = \"api\"\nvolumes = [\"/srv/shop:/data\"]\n"
	require.Len(t, inEnvironments(t, same), 3)
	require.Len(t, inEnvironments(t, strings.Replace(settings, "shop-cache:/cache", "/run/podman.sock:/run/podman.sock", 1)), 3)
}

func TestVariablesOfAServiceStandBesideItsEnvironments(t *testing.T) {
	for name, text := range map[string]string{
		"a table":         settings + "[env]\nA = \"1\"\nB = \"2\"\n[env.staging.env]\nB = \"3\"\n",
		"an inline table": "env = { A = \"1\", B = \"2\" }\n" + settings + "[env.staging.env]\nB = \"3\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			all := inEnvironments(t, text)
			require.Equal(t, map[string]string{"A": "1", "B": "2"}, all["shop"].Env)
			require.Equal(t, map[string]string{"A": "1", "B": "3"}, all["shop-staging"].Env)
			require.Equal(t, "3", all["shop-staging"].Components[1].Env["B"])
			require.Equal(t, "2", all["shop-test"].Components[1].Env["B"])
		})
	}
}

func TestTooManyEnvironmentsAreRefused(t *testing.T) {
	text := settings
	for _, c := range "abcdefghijklmnopqrst" {
		text += "[env." + string(c) + "]\n"
	}
	found := problems(t, text)
	require.Len(t, found, 1)
	require.Equal(t, "has 22 environments; the limit is 20", found[0].Message)
}
