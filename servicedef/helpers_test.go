package servicedef_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

// base is a valid definition; the tests change a line of it.
const base = `name = "shop"
node = "rift"
path = "shop"

[build.images]
shop-api = "Containerfile"

[[components]]
name = "api"
image = "registry.example:5000/shop-api:v1"
# api

[components.health]
# health

[[components.routes]]
name = "rest"
port = 8443
# route

[[components]]
name = "db"
image = "docker.io/library/postgres:17"
# db
`

// directory creates a directory with these files.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

// edit replaces a part of base that must occur exactly once.
func edit(t *testing.T, old, new string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(base, old), "%q must be in base once", old)
	return strings.Replace(base, old, new, 1)
}

// parse requires a valid text.
func parse(t *testing.T, text string) *servicedef.Service {
	t.Helper()
	s, err := servicedef.Parse([]byte(text), "shop.toml")
	require.NoError(t, err)
	return s
}

// problems requires an invalid text.
func problems(t *testing.T, text string) servicedef.Errors {
	t.Helper()
	s, err := servicedef.Parse([]byte(text), "shop.toml")
	require.Error(t, err)
	require.Nil(t, s)
	var found servicedef.Errors
	require.ErrorAs(t, err, &found)
	return found
}

// lineOf returns the number of the line that contains part.
func lineOf(t *testing.T, text, part string) int {
	t.Helper()
	before, _, ok := strings.Cut(text, part)
	require.True(t, ok, "%q is in the text", part)
	return 1 + strings.Count(before, "\n")
}

// tomlKeys returns the keys of some structs, by their tags.
func tomlKeys(structs ...any) []string {
	var keys []string
	for _, s := range structs {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(s)) {
			if key := field.Tag.Get("toml"); key != "" && key != "-" && key != "build" && key != "components" {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// flat joins the waves.
func flat(waves [][]string) string {
	lines := make([]string, len(waves))
	for i, wave := range waves {
		lines[i] = strings.Join(wave, " ")
	}
	return strings.Join(lines, " ")
}
