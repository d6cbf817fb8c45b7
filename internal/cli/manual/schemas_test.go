package main

import (
	"encoding"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// schemas is where they are, from the repository's root.
const schemas = "docs/schemas"

func TestTheSchemasAreOfTheseCommands(t *testing.T) {
	t.Chdir("../../..") // comments are read from the sources
	comments := new(jsonschema.Reflector)
	require.NoError(t, comments.AddGoComments("github.com/metacircular/mcp", "./"))
	wanted := map[string]bool{}
	for verb, results := range cli.Results() {
		path := filepath.Join(schemas, schemaFile(verb))
		wanted[path] = true
		requireFile(t, path, schemaOf(t, verb, results, comments.CommentMap))
	}
	files, err := filepath.Glob(filepath.Join(schemas, "*.json"))
	require.NoError(t, err)
	for _, file := range files {
		require.True(t, wanted[file], "%s is of no verb", file)
	}
}

func TestEveryVerbHasASchema(t *testing.T) {
	silent := map[string]bool{"completion": true, "worker": true, "gateway": true}
	each(commands(), func(cmd *cobra.Command) {
		verb := verbOf(cmd)
		require.NotEqual(t, silent[verb], cli.Results()[verb] != nil, "%s: internal/cli/results.go says what it prints with --json", verb)
	})
}

// verbOf is a command without "mcp" before it.
func verbOf(cmd *cobra.Command) string { return strings.TrimPrefix(cmd.CommandPath(), "mcp ") }

func schemaFile(verb string) string { return strings.ReplaceAll(verb, " ", "-") + ".json" }

// schemaOf is the schema of what a verb prints: one of several types.
func schemaOf(t *testing.T, verb string, results []any, comments map[string]string) string {
	t.Helper()
	whole := &jsonschema.Schema{
		Version: jsonschema.Version, Title: "mcp " + verb + " --json", Definitions: jsonschema.Definitions{},
	}
	names := map[string]reflect.Type{}
	for _, result := range results {
		r := &jsonschema.Reflector{Anonymous: true, CommentMap: comments, Mapper: written, Namer: func(of reflect.Type) string {
			name := of.Name()
			if other := names[name]; name != "" && other != nil && other != of {
				name = of.String() // of two types of one name, the second has its package before it
			}
			names[name] = of
			return name
		}}
		one := r.Reflect(result)
		for name, definition := range one.Definitions {
			if alsoText[names[name]] {
				definition = &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string"}, definition}}
			}
			whole.Definitions[name] = definition
		}
		one.Version, one.Definitions = "", nil
		whole.AnyOf = append(whole.AnyOf, one)
	}
	text, err := json.MarshalIndent(whole, "", "  ")
	require.NoError(t, err)
	return string(text) + "\n"
}

// alsoText are the types whose short form is a text.
var alsoText = map[reflect.Type]bool{
	reflect.TypeFor[servicedef.ImageBuild](): true,
	reflect.TypeFor[servicedef.Hostnames]():  true,
	reflect.TypeFor[servicedef.Secret]():     true,
}

// written is the schema of what is not written as its type says: a fault's kind
// is one of those that there are, and a number may write itself as text.
func written(t reflect.Type) *jsonschema.Schema {
	text := &jsonschema.Schema{Type: "string"}
	switch {
	case t == reflect.TypeFor[fault.Kind]():
		for _, kind := range fault.Kinds() {
			text.Enum = append(text.Enum, kind)
		}
	case t.Kind() != reflect.Int64 || !t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return nil
	}
	return text
}

// requireFile checks that a file holds what has been generated, or writes it.
func requireFile(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err, "make reference writes it")
	require.Equal(t, want, string(have), "%s has drifted from the commands: make reference writes it anew", path)
}
