package servicedef_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

func TestAFormattedDefinitionParsesToItself(t *testing.T) {
	example, err := os.ReadFile("../docs/service.example.toml")
	require.NoError(t, err)
	for name, text := range map[string]string{
		"the example": string(example),
		"a small one": "name = \"x\"\nnode = \"n\"\n[[components]]\nname = \"a\"\nimage = \"r.example/x:v1\"\ncpus = 2\n" +
			"env = { A = \"\\\"quoted\\\" <tag> é \\t\" }\n",
	} {
		t.Run(name, func(t *testing.T) {
			parsed, err := servicedef.Parse([]byte(text), "file.toml")
			require.NoError(t, err)
			again, err := servicedef.Parse([]byte(parsed.TOML()), "file.toml")
			require.NoError(t, err, parsed.TOML())
			require.Equal(t, parsed, again)
			require.Contains(t, parsed.TOML(), "stop_timeout = ")
		})
	}
}
