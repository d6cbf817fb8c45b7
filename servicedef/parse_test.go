package servicedef_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

func TestTenMistakesAreReportedAtOnce(t *testing.T) {
	text, err := os.ReadFile("testdata/mistakes.toml")
	require.NoError(t, err)
	var got []string
	for _, p := range problems(t, string(text)) {
		require.Equal(t, "shop.toml", p.File)
		mistake := strings.Split(string(text), "\n")[p.Line-1]
		require.Contains(t, mistake, "# ", "%v points at a line without a mistake", p)
		_, number, _ := strings.Cut(mistake[strings.LastIndexByte(mistake, '#'):], " ")
		number, _, _ = strings.Cut(number, ":")
		got = append(got, number+" "+p.Key)
	}
	require.Equal(t, []string{
		"1 name",
		"2 path",
		"3 colour",
		"4 components[0].image",
		"5 components[0].env.PORT",
		"6 components[0].ports[1]",
		"7 components[0].health.http",
		"8 components[0].health.interval",
		"9 components[0].routes[0].mode",
		"10 components[1].image",
	}, got)
}

func TestAProblemIsOneLine(t *testing.T) {
	found := problems(t, edit(t, "port = 8443", "port = 0"))
	require.EqualError(t, found, "shop.toml:18: components[0].routes[0].port: must be between 1 and 65535")

	require.EqualError(t, servicedef.Problem{Message: "m"}, "m")
	require.EqualError(t, servicedef.Problem{Line: 3, Key: "k", Message: "m"}, "line 3: k: m")
	require.EqualError(t, servicedef.Problem{File: "f", Key: "k", Message: "m"}, "f: k: m")
	var one servicedef.Problem
	require.ErrorAs(t, found, &one)
	require.Equal(t, 18, one.Line)
	two := servicedef.Errors{{File: "f", Message: "one"}, {File: "f", Message: "two"}}
	require.EqualError(t, two, "f: one\nf: two")
}

func TestASyntaxErrorHasItsLine(t *testing.T) {
	tests := []struct{ name, old, new, key, message string }{
		{"a string without quotes", `name = "db"`, `name = db`, "components[1].name", `"db"`},
		{"a value that is missing", `name = "rest"`, `name = `, "components[0].routes[0].name", "expected value"},
		{"a key twice", `port = 8443`, `name = "x"`, "components[0].routes[0].name", "already been defined"},
		{"a number too large", `port = 8443`, `port = 99999999999999999999`, "components[0].routes[0].port", "out of range"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := edit(t, test.old, test.new)
			found := problems(t, text)
			require.Len(t, found, 1)
			require.Equal(t, strings.Count(base[:strings.Index(base, test.old)], "\n")+1, found[0].Line)
			require.Equal(t, test.key, found[0].Key)
			require.Contains(t, found[0].Message, test.message)
		})
	}
	t.Run("a file too large to travel", func(t *testing.T) {
		require.Contains(t, problems(t, base+strings.Repeat("#", 256<<10)).Error(), "larger than 256 KiB")
	})
}

func TestDefaults(t *testing.T) {
	s := parse(t, base)
	api, db := s.Components[0], s.Components[1]
	require.True(t, s.Active)
	require.Equal(t, "shop.toml", s.File)
	require.Equal(t, "rift", api.Node)
	require.Equal(t, "unless-stopped", api.Restart)
	require.Equal(t, servicedef.StartFirst, api.Order)
	require.Equal(t, 10*time.Second, time.Duration(api.StopTimeout))
	require.Equal(t, "l4", api.Routes[0].Mode)
	require.Equal(t, servicedef.Health{
		Interval: servicedef.Duration(10 * time.Second), Timeout: servicedef.Duration(5 * time.Second),
		MinHealthy: servicedef.Duration(100 * time.Millisecond), Retries: 3, StartPeriod: servicedef.Duration(30 * time.Second),
	}, api.Health)
	require.Equal(t, time.Second, time.Duration(db.Health.StartPeriod), "there is nothing to probe")

	require.False(t, parse(t, edit(t, `path = "shop"`, `active = false`)).Active)
	for _, given := range []string{`volumes = ["a:/data"]`, `ports = ["80:80"]`, `network = "host"`} {
		t.Run("stop-first with "+given, func(t *testing.T) {
			require.Equal(t, servicedef.StopFirst, parse(t, edit(t, "# db", given)).Components[1].Order)
		})
	}
	for given, period := range map[string]time.Duration{
		`ports = ["80:80"]`:                          30 * time.Second,
		`ports = ["80:80/udp"]`:                      time.Second,
		"[components.health]\ncmd = [\"true\"]":      30 * time.Second,
		"[components.health]\nstart_period = \"7s\"": 7 * time.Second,
	} {
		t.Run("start_period with "+given, func(t *testing.T) {
			require.Equal(t, period, time.Duration(parse(t, edit(t, "# db", given)).Components[1].Health.StartPeriod))
		})
	}
}

// The reference of the documentation is complete.
func TestTheExampleIsValidAndShowsEveryKey(t *testing.T) {
	s, err := servicedef.Load("../docs/service.example.toml")
	require.NoError(t, err)
	require.Len(t, s.Components, 4)
	text, err := os.ReadFile("../docs/service.example.toml")
	require.NoError(t, err)
	for _, key := range tomlKeys(servicedef.Service{}, servicedef.Build{}, servicedef.ImageBuild{}, servicedef.Component{}, servicedef.Health{}, servicedef.Route{},
		servicedef.File{}, servicedef.Secret{}, servicedef.Step{}) {
		require.Regexp(t, `(?m)^(# )?`+key+` += |^\[+(components\.|build\.)?`+key+`\]`, string(text), key)
	}
}

func TestJSONKeepsADefinition(t *testing.T) {
	example, err := os.ReadFile("../docs/service.example.toml")
	require.NoError(t, err)
	for _, text := range []string{base, string(example), edit(t, "# db", "cmd = []\nenv = {}\nports = []\n[build]")} {
		text = strings.Replace(text, "\n[build]", "", 1)
		before := parse(t, text)
		data, err := json.Marshal(before)
		require.NoError(t, err)
		var after servicedef.Service
		require.NoError(t, json.Unmarshal(data, &after))
		require.Equal(t, *before, after)
		require.Equal(t, before.Hash(), after.Hash())
		require.NoError(t, after.Validate())
	}
}

func TestValidateReportsNoLines(t *testing.T) {
	s := *parse(t, base)
	s.Node, s.Components[1].Node = "", ""
	require.EqualError(t, s.Validate(), "shop.toml: components[1].node: is required, here or as the node of the service")
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/mistakes.toml", "../docs/service.example.toml"} {
		text, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(base))
	f.Add([]byte("\"\r\n"))
	f.Add([]byte(two(l7+"tls = false\nallow = [\"10.0.0.0/8\"]", "edge = true\nprotocol = \"udp\"")))
	f.Add([]byte(two(l7+"path = \"/a%\"\nbasic_auth = { ann = \"x\" }\nredirect_from = [\"*.\", \"\"]", "hostname = [5]\ntls = \"\"")))
	f.Add([]byte("components = [{name = \"a\"}, 5, [{}]]\nhealth.http = nan"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := servicedef.Parse(data, "f.toml")
		if err != nil {
			require.Nil(t, s)
			var found servicedef.Errors
			require.ErrorAs(t, err, &found)
			require.NotEmpty(t, found)
			for _, p := range found {
				require.Positive(t, p.Line, "%v", p)
				require.LessOrEqual(t, p.Line, 1+strings.Count(string(data), "\n"), "%v", p)
			}
			return
		}
		text, err := json.Marshal(s)
		require.NoError(t, err)
		var again servicedef.Service
		require.NoError(t, json.Unmarshal(text, &again))
		require.Equal(t, *s, again)
		require.NoError(t, again.Validate())
		rendered, err := servicedef.Parse([]byte(s.TOML()), "f.toml")
		require.NoError(t, err)
		require.Equal(t, s, rendered)
		require.Equal(t, len(s.Lasting()), len(strings.Fields(flat(s.StartOrder()))))
	})
}
