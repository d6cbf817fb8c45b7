package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli"
)

// schemas are those of docs/schemas, by verb, compiled at first use.
var schemas struct {
	sync.Mutex
	known map[string]*jsonschema.Schema
}

// validate checks the output of a command line against the schema of its verb, if it
// has --json. Every mcp of these tests is checked.
func validate(args []string, stdout string) error {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	cmd, _, err := (&cli.App{Stdout: io.Discard, Stderr: io.Discard, Getenv: os.Getenv}).Root().Find(args)
	if err != nil || !slices.Contains(args, "--json") {
		return nil
	}
	_, verb, _ := strings.Cut(cmd.CommandPath(), " ")
	schema, err := schemaOf(verb)
	if err != nil {
		return err
	}
	for printed := json.NewDecoder(strings.NewReader(stdout)); ; {
		var value any
		printed.UseNumber()
		switch err := printed.Decode(&value); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := schema.Validate(value); err != nil {
			return err
		}
	}
}

// schemaOf compiles the schema of a verb.
func schemaOf(verb string) (*jsonschema.Schema, error) {
	schemas.Lock()
	defer schemas.Unlock()
	if schema := schemas.known[verb]; schema != nil {
		return schema, nil
	}
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("../../docs/schemas", strings.ReplaceAll(verb, " ", "-")+".json"))
	if err != nil {
		return nil, err
	}
	if schemas.known == nil {
		schemas.known = map[string]*jsonschema.Schema{}
	}
	schemas.known[verb] = schema
	return schema, nil
}

func TestASchemaIsStrict(t *testing.T) {
	t.Parallel()
	args := []string{"version", "--json"}
	require.NoError(t, validate(args, `{"mcp": "1", "go": "go1", "platform": "linux/amd64"}`))
	require.NoError(t, validate(args, `{"error": {"kind": "Invalid", "message": "no"}}`))
	require.ErrorContains(t, validate(args, `{"mcp": "1", "go": "go1", "platform": "linux/amd64", "more": 1}`), "additional properties 'more'")
	require.ErrorContains(t, validate(args, `{"mcp": "1", "go": "go1"}`), "missing property 'platform'")
	require.ErrorContains(t, validate(args, `{"error": {"kind": "Wrong", "message": "no"}}`), "value must be one of")
}
