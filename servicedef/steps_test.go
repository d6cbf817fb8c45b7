package servicedef_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

// stepped is a service with a database, and a web that needs it.
const stepped = `
name = "shop"
node = "rift"

[[components]]
name    = "db"
image   = "registry.test/db:v1"
volumes = ["shop-db:/data"]

[[components]]
name       = "web"
image      = "registry.test/web:v1"
user       = "1000"
env        = { MODE = "web", DB = "db" }
secrets    = ["shop-key"]
secret_env = { TOKEN = "shop-token" }
volumes    = ["/srv/shop:/srv", "shop-tmp:/tmp"]
network    = "shop"
memory     = "256m"
depends_on = ["db"]
health     = { http = "/healthz" }
[[components.routes]]
name = "rest"
port = 443
`

func parseSteps(t *testing.T, steps string) servicedef.Service {
	t.Helper()
	s, err := servicedef.Parse([]byte(stepped+steps), "shop.toml")
	require.NoError(t, err)
	return *s
}

func TestAStepIsLikeItsComponent(t *testing.T) {
	s := parseSteps(t, `
[[steps]]
name       = "migrate"
component  = "web"
cmd        = ["migrate", "up"]
env        = { MODE = "migrate", TOKEN = "" }
secrets    = ["shop-admin"]
volumes    = ["shop-scratch:/tmp"]
depends_on = ["db"]
`)
	step := s.Steps[0]
	require.Equal(t, servicedef.StepBefore, step.When)
	require.Equal(t, servicedef.Duration(30*time.Minute), step.Timeout)
	c := s.StepComponent(step)
	require.NoError(t, func() error { s.Steps = nil; return s.Validate() }())
	require.Equal(t, servicedef.Component{
		Name: "migrate", Image: "registry.test/web:v1", Node: "rift", Cmd: []string{"migrate", "up"},
		Env: map[string]string{"MODE": "migrate", "DB": "db", "TOKEN": ""}, Secrets: []servicedef.Secret{{Source: "shop-key"}, {Source: "shop-admin"}},
		Volumes: []string{"/srv/shop:/srv", "shop-scratch:/tmp"}, Order: servicedef.StartFirst, User: "1000", Network: "shop",
		Restart: "unless-stopped", Memory: "256m", StopTimeout: servicedef.Duration(10 * time.Second), Drain: servicedef.Duration(time.Second),
	}, c)
	web, _ := s.Component("web")
	require.Equal(t, "web", web.Env["MODE"], "its own environment is another")
}

func TestAStepNeedsNoComponent(t *testing.T) {
	s := parseSteps(t, `
[[steps]]
name  = "notify"
when  = "after"
image = "registry.test/curl:v1"
node  = "orion"
`)
	c := s.StepComponent(s.Steps[0])
	require.Equal(t, []string{"notify", "registry.test/curl:v1", "orion"}, []string{c.Name, c.Image, c.Node})
	require.Empty(t, c.Cmd)
	require.Equal(t, []string{"registry.test/curl:v1"}, s.StepImages(s.Steps))
}

func TestWhatStartsBeforeAStep(t *testing.T) {
	s := parseSteps(t, `
[[steps]]
name       = "migrate"
component  = "web"
cmd        = ["migrate"]
depends_on = ["db"]
[[steps]]
name       = "seed"
component  = "web"
cmd        = ["seed"]
depends_on = ["web"]
`)
	require.Equal(t, map[string]bool{"db": true}, s.StartsBefore(s.Steps[0]))
	require.Equal(t, map[string]bool{"db": true, "web": true}, s.StartsBefore(s.Steps[1]))
}

func TestStepsThatAreRefused(t *testing.T) {
	const migrate = "[[steps]]\nname = \"migrate\"\ncomponent = \"web\"\ncmd = [\"m\"]\n"
	tests := []struct{ name, steps, want string }{
		{"the name of a component", "[[steps]]\nname = \"web\"\nimage = \"registry.test/x:v1\"", `shop.toml:26: steps[0].name: "web" is taken by components[1].name`},
		{"two of one name", migrate + migrate, `shop.toml:30: steps[1].name: "migrate" is taken by steps[0].name`},
		{"no name that a container can have", "[[steps]]\nname = \"Migrate!\"\nimage = \"registry.test/x:v1\"", `steps[0].name: must be a DNS label`},
		{"neither image nor component", "[[steps]]\nname = \"migrate\"", `steps[0].image: is required, or component`},
		{"a component that is not there", "[[steps]]\nname = \"migrate\"\ncomponent = \"wep\"\ncmd = [\"m\"]", `steps[0].component: the service has no component "wep", did you mean web?`},
		{"the program of its component", "[[steps]]\nname = \"migrate\"\ncomponent = \"web\"", `steps[0].cmd: is required: without it the step would run the program of web, which does not end`},
		{"another moment", migrate + `when = "during"`, `steps[0].when: must be "before" or "after", not "during"`},
		{"a dependency that is not there", migrate + `depends_on = ["bd"]`, `steps[0].depends_on[0]: the service has no component "bd"`},
		{"no timeout", migrate + `timeout = "0s"`, `steps[0].timeout: must be greater than 0`},
		{"a month", migrate + `timeout = "720h"`, `steps[0].timeout: must be at most 168h, a week`},
		{"retries without end", migrate + `retries = 1000`, `steps[0].retries: must be between 0 and 20, not 1000`},
		{"a route", migrate + "routes = []", `steps[0].routes: unknown key`},
		{"an image without a registry", "[[steps]]\nname = \"m\"\nimage = \"web\"", `steps[0].image: "web" must begin with the host of its image registry`},
		{"a wrong secret", migrate + `secrets = ["a/b"]`, `steps[0].secrets[0]: must be the name of a secret`},
		{"a wrong volume", migrate + `volumes = ["x"]`, `steps[0].volumes[0]: must be "source:/target[:options]"`},
		{"a wrong user", migrate + `user = "a b"`, `steps[0].user: must not contain spaces`},
		{"no node", "[[steps]]\nname = \"m\"\nimage = \"registry.test/x:v1\"\nnode = \"a b\"", `steps[0].node: must be a DNS name`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := servicedef.Parse([]byte(stepped+tt.steps), "shop.toml")
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestACycleThroughStepsIsRefusedWithItsPath(t *testing.T) {
	definition := func(steps, dependsOn string) string {
		return `
name = "shop"
node = "rift"
[[components]]
name       = "db"
image      = "registry.test/db:v1"
depends_on = [` + dependsOn + `]
[[components]]
name       = "web"
image      = "registry.test/web:v1"
depends_on = ["db"]
` + steps
	}
	one := "[[steps]]\nname = \"migrate\"\nimage = \"registry.test/x:v1\"\ndepends_on = [\"web\"]\n"
	two := "[[steps]]\nname = \"seed\"\nimage = \"registry.test/x:v1\"\n"
	tests := []struct{ name, text, want string }{
		{"of one step", definition(one, `"migrate"`), "steps[0].depends_on: the step and components wait for each other: migrate → web → db → migrate"},
		{"by the order of two", definition(one+two, `"seed"`), "the step and components wait for each other: migrate → web → db → seed → migrate"},
		{"a step after the release", definition("[[steps]]\nname = \"late\"\nwhen = \"after\"\nimage = \"registry.test/x:v1\"\n", `"late"`), `components[0].depends_on[0]: the service has no component "late"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := servicedef.Parse([]byte(tt.text), "shop.toml")
			require.ErrorContains(t, err, tt.want)
		})
	}
	_, err := servicedef.Parse([]byte(definition(two, `"seed"`)), "shop.toml")
	require.NoError(t, err, "a component may name a step that is done before it starts")
}

func TestStepsAreOfTheHashAndAreOmittedWhereThereAreNone(t *testing.T) {
	without := parseSteps(t, "")
	with := parseSteps(t, "[[steps]]\nname = \"m\"\nimage = \"registry.test/x:v1\"\n")
	require.NotEqual(t, without.Hash(), with.Hash())
	require.Empty(t, servicedef.UnknownKeys([]string{servicedef.KeySteps}))
}
