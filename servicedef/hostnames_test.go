package servicedef_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

// The hash of a definition decides whether it has changed. That of one which was
// recorded before routes had several hostnames stays.
func TestARecordedDefinitionKeepsItsHash(t *testing.T) {
	const hash = "feb7170243daa47f1147cc2f909dc8510733190861c8767f59b2e9765d8b4b95"
	text, err := os.ReadFile("testdata/recorded.toml")
	require.NoError(t, err)
	parsed := parse(t, string(text))
	require.Equal(t, hash, parsed.Hash())
	recorded, err := os.ReadFile("testdata/recorded.json")
	require.NoError(t, err)
	var loaded servicedef.Service
	require.NoError(t, json.Unmarshal(recorded, &loaded))
	require.Equal(t, hash, loaded.Hash())
	encoded, err := json.MarshalIndent(loaded, "", "  ")
	require.NoError(t, err)
	require.Equal(t, string(recorded), string(encoded)+"\n")
}

func TestHostnamesAreAStringOrAnArray(t *testing.T) {
	for text, want := range map[string]struct {
		names servicedef.Hostnames
		json  string
	}{
		`""`:                   {nil, ``},
		`[]`:                   {nil, ``},
		`"a.example"`:          {servicedef.Hostnames{"a.example"}, `"hostname":"a.example",`},
		`["a.example"]`:        {servicedef.Hostnames{"a.example"}, `"hostname":"a.example",`},
		`["a.example", "b.c"]`: {servicedef.Hostnames{"a.example", "b.c"}, `"hostname":["a.example","b.c"],`},
	} {
		t.Run(text, func(t *testing.T) {
			route := parse(t, edit(t, "# route", "hostname = "+text+"\ncontainer_port = 80")).Components[0].Routes[0]
			require.Equal(t, want.names, route.Hostname)
			encoded, err := json.Marshal(route)
			require.NoError(t, err)
			require.Equal(t, `{"name":"rest","port":8443,"mode":"l4",`+want.json+`"container_port":80}`, string(encoded))
			var again servicedef.Route
			require.NoError(t, json.Unmarshal(encoded, &again))
			require.Equal(t, route, again)
		})
	}
	var h servicedef.Hostnames
	for _, text := range []string{`5`, `[5]`, `{}`, `"`} {
		require.Error(t, json.Unmarshal([]byte(text), &h), text)
	}
}
