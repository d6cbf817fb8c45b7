package servicedef_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

func TestNetworksAreWrittenAsInCompose(t *testing.T) {
	tests := map[string]struct {
		text string
		want servicedef.Networks
	}{
		"as an array":              {`networks = ["b", "a"]`, servicedef.Networks{{Name: "b"}, {Name: "a"}}},
		"as a table":               {`networks = { b = {}, a = {} }`, servicedef.Networks{{Name: "a"}, {Name: "b"}}},
		"with aliases":             {`networks = { a = { aliases = ["x", "y.z"] } }`, servicedef.Networks{{Name: "a", Aliases: []string{"x", "y.z"}}}},
		"as network alone":         {`network = "rails"`, servicedef.Networks{{Name: "rails"}}},
		"as both":                  {"network = \"rails\"\nnetworks = [\"a\"]", servicedef.Networks{{Name: "rails"}, {Name: "a"}}},
		"the service's alone":      {`network = "bridge"`, nil},
		"without a word about any": {``, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := parse(t, edit(t, "# db", test.text))
			require.Equal(t, test.want, s.Components[1].Joined())
			require.True(t, s.Components[1].OnServiceNetwork())
			again := parse(t, s.TOML())
			again.File = s.File
			require.Equal(t, s, again, s.TOML())
			text, err := json.Marshal(s)
			require.NoError(t, err)
			var decoded servicedef.Service
			require.NoError(t, json.Unmarshal(text, &decoded))
			require.Equal(t, *s, decoded)
		})
	}
}

func TestNetworksThatAreRefused(t *testing.T) {
	const networks, network = "components[1].networks", "components[1].network"
	tests := map[string]struct{ text, key, message string }{
		"a number":                       {`networks = 1`, networks, "an array of names, or a table"},
		"a number in the array":          {`networks = [1]`, networks + "[0]", "must be a string"},
		"an unknown option":              {`networks = { a = { ipv4_address = "10.0.0.1" } }`, networks + ".a.ipv4_address", "unknown key"},
		"aliases that are no array":      {`networks = { a = { aliases = "x" } }`, networks + ".a.aliases", "an array of strings"},
		"a name with a slash":            {`networks = ["a/b"]`, networks + "[0]", "the name of a network"},
		"a value of network":             {`networks = ["host"]`, networks + "[0]", `"host" is a value of network`},
		"one twice":                      {`networks = ["a", "a"]`, networks + "[1]", "named already"},
		"one in both":                    {"network = \"a\"\nnetworks = [\"a\"]", networks + "[0]", "named already"},
		"with the host's":                {"network = \"host\"\nnetworks = [\"a\"]", networks, `must be empty with network = "host"`},
		"that of another service":        {`networks = ["mcp-blog"]`, networks + "[0]", "those of the networks that mcp makes"},
		"that of another service, alone": {`network = "mcp-blog"`, network, "those of the networks that mcp makes"},
		"an alias that is no name":       {`networks = { a = { aliases = ["a b"] } }`, networks + "[0].aliases", "must be a DNS name"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found := problems(t, edit(t, "# db", test.text))
			require.Len(t, found, 1, found)
			require.Equal(t, test.key, found[0].Key)
			require.Contains(t, found[0].Message, test.message)
		})
	}
}

func TestAURLInACommandMustNameAComponentOfTheNode(t *testing.T) {
	elsewhere := edit(t, "# db", `node = "orion"`)
	step := "\n[[steps]]\nname = \"migrate\"\ncomponent = \"api\"\ncmd = [\"migrate\"]\n"
	for key, text := range map[string]string{
		"components[0].cmd[1]":        strings.Replace(elsewhere, "# api", `cmd = ["serve", "--db=postgres://db/shop"]`, 1),
		"components[0].entrypoint[0]": strings.Replace(elsewhere, "# api", `entrypoint = ["http://shop-db:80"]`, 1),
		"steps[0].cmd[1]":             elsewhere + strings.Replace(step, `"migrate"]`, `"migrate", "postgres://db/shop"]`, 1),
		"steps[0].env.DB_HOST":        elsewhere + step + "env = { DB_HOST = \"db\" }\n",
		"steps[0].node":               strings.Replace(base, "# api", `env = { DB_HOST = "db" }`, 1) + step + "node = \"orion\"\n",
	} {
		t.Run(key, func(t *testing.T) {
			found := problems(t, text)
			require.Len(t, found, 1, found)
			require.Equal(t, key, found[0].Key)
			require.Contains(t, found[0].Message, "names component db, which is on node")
		})
	}
	parse(t, strings.Replace(base, "# api", `cmd = ["serve", "--db=postgres://db/shop"]`, 1)+step)
}

func TestANameThatLeadsNowhereIsRefused(t *testing.T) {
	elsewhere := edit(t, "# db", `node = "orion"`)
	onHost := edit(t, "# db", `network = "host"`)
	tests := map[string]struct{ definition, env, message string }{
		"in a URL":                     {elsewhere, `{ URL = "postgres://user:p@db:5432/shop" }`, "which is on node orion and not on rift"},
		"in a URL without more":        {elsewhere, `{ URL = "http://shop-db" }`, "which is on node orion"},
		"in the second URL":            {elsewhere, `{ URLS = "http://other http://db/x" }`, "which is on node orion"},
		"as a host":                    {elsewhere, `{ DATABASE_HOST = "db" }`, "which is on node orion"},
		"as a host with a port":        {elsewhere, `{ DB_ADDR = "shop-db:5432" }`, "which is on node orion"},
		"of one without a name":        {onHost, `{ HOST = "db" }`, `because its network is "host"`},
		"not of one with a longer one": {elsewhere, `{ DATABASE_HOST = "db.example", URL = "http://dbs:1/db" }`, ""},
		"not where it is no host":      {elsewhere, `{ DRIVER = "db", GHOST = "db" }`, ""},
		"not on the same node":         {base, `{ DATABASE_HOST = "db" }`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(test.definition, "# api", "env = "+test.env, 1)
			if test.message == "" {
				parse(t, text)
				return
			}
			found := problems(t, text)
			require.Len(t, found, 1, found)
			require.True(t, strings.HasPrefix(found[0].Key, "components[0].env."), found[0].Key)
			require.Contains(t, found[0].Message, test.message)
		})
	}
}
