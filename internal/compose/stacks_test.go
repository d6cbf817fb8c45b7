package compose_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/metacircular/mcp/internal/compose"
	"github.com/metacircular/mcp/internal/compose/source"
	"github.com/metacircular/mcp/servicedef"
)

// without are the entries of the projects in testdata that change neither the definition
// nor the notes when they are taken out: they say what is so without them.
var without = map[string]string{
	"chat/compose.yaml services.hook.attach":                                "whether compose up shows the output",
	"media/compose.yaml services.torrent.depends_on.vpn.condition":          "mcp waits until it is healthy",
	"metrics/compose.yaml services.grafana.healthcheck":                     "mcp does not run the check of the image",
	"metrics/compose.yaml services.grafana.depends_on.prometheus.condition": "mcp waits until it is healthy",
	"metrics/compose.yaml services.grafana.scale":                           "one",
	"metrics/compose.yaml volumes.prometheus":                               "nothing but its name",
	"shop/compose.yaml x-logging.logging.driver":                            "Docker's default",
	"shop/compose.yaml x-app.depends_on.db.condition":                       "mcp waits until it is healthy",
	"shop/compose.yaml x-app.depends_on.cache.condition":                    "mcp waits until it is healthy",
	"shop/compose.yaml x-app.depends_on.migrate.required":                   "the default",
	"shop/compose.yaml services.web.ports[1].protocol":                      "the default",
	"shop/compose.yaml services.web.ports[1].mode":                          "mcp has no mesh: each port is the node's",
	"shop/compose.yaml services.web.healthcheck.start_interval":             "mcp probes more often at first",
	"shop/compose.yaml services.web.networks.back":                          "components find one another by name",
	"shop/compose.yaml services.worker.healthcheck":                         "mcp does not run the check of the image",
	"shop/compose.yaml services.worker.networks":                            "components find one another by name",
	"shop/compose.yaml services.migrate.depends_on.db.condition":            "mcp waits until it is healthy",
	"shop/compose.yaml services.migrate.networks":                           "components find one another by name",
	"shop/compose.yaml services.cache.networks":                             "components find one another by name",
	"wiki/base.yml services.php.environment.DB_HOST":                        "replaced by the service that extends it",
	"wiki/docker-compose.yml version":                                       "Compose does not read it either",
	"wiki/docker-compose.yml services.web.expose":                           "all ports of a container are open to its network",
	"wiki/docker-compose.yml services.web.expose[0]":                        "all ports of a container are open to its network",
	"wiki/docker-compose.yml services.web.depends_on.app.condition":         "mcp waits until it is healthy",
	"wiki/docker-compose.yml services.db.privileged":                        "the default",
	"wiki/docker-compose.yml secrets.smtp.external":                         "each secret is made by hand",
	"wiki/docker-compose.yml volumes.uploads":                               "nothing but its name",
}

// Every key of the projects in testdata is taken over, or listed: to take it out changes
// the definition or what is listed.
func TestImportLosesNoKeySilently(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	stacks, err := filepath.Glob(filepath.Join(here, "testdata", "*"))
	require.NoError(t, err)
	unused := []string{}
	for key := range without {
		unused = append(unused, key)
	}
	for _, dir := range stacks {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			whole, listed := importOf(t, dir)
			files, err := filepath.Glob(filepath.Join(dir, "*.y*ml"))
			require.NoError(t, err)
			for _, file := range files {
				if text, err := os.ReadFile(file); err != nil || !bytes.Contains(text, []byte("services:")) {
					continue
				}
				_, text := withoutEntry(t, file, 1<<20)
				require.Equal(t, whole, importWith(t, dir, filepath.Base(file), text), "the same text, written anew")
				for i := 0; ; i++ {
					key, text := withoutEntry(t, file, i)
					if key == "" {
						break
					}
					within := func(place string) bool {
						return key == place || strings.HasPrefix(key, place+".") || strings.HasPrefix(key, place+"[")
					}
					if slices.ContainsFunc(listed, within) {
						continue
					}
					key = filepath.Base(dir) + "/" + filepath.Base(file) + " " + key
					if importWith(t, dir, filepath.Base(file), text) != whole {
						continue
					}
					unused = slices.DeleteFunc(unused, func(other string) bool { return other == key })
					if without[key] == "" {
						t.Errorf("%s is lost silently", key)
					}
				}
			}
		})
	}
	require.Empty(t, unused, "these are not lost")
}

// importOf imports the project of a directory, requires a definition that is sound, and
// returns it with what is listed, without lines, and the keys that are listed.
func importOf(t *testing.T, dir string) (whole string, listed []string) {
	t.Helper()
	made, err := compose.Import(stack(dir))
	require.NoError(t, err)
	again, err := servicedef.Parse([]byte(made.Text), made.Service.Name+".toml")
	require.NoError(t, err)
	require.Equal(t, made.Service, again)
	for _, note := range made.Notes {
		require.NotEmpty(t, note.Key, note)
		require.Positive(t, note.Line, note)
		listed = append(listed, note.Key)
	}
	return signature(made), listed
}

func stack(dir string) compose.Options {
	files, _ := filepath.Glob(filepath.Join(dir, "*compose.y*ml")) // the pattern is sound
	return compose.Options{
		Options: source.Options{Files: files, Getenv: func(string) (string, bool) { return "", false }},
		Node:    "rift", Registry: "registry.example:5000", Workspace: filepath.Dir(dir),
	}
}

func signature(made *compose.Imported) string {
	var b strings.Builder
	b.WriteString(made.Text)
	for _, n := range made.Notes {
		fmt.Fprintf(&b, "%s: %s\n", n.Key, n.Message)
	}
	return b.String()
}

// importWith is importOf with another text of a file; an error has its own signature.
func importWith(t *testing.T, dir, file string, text []byte) string {
	t.Helper()
	changed := filepath.Join(t.TempDir(), filepath.Base(dir))
	require.NoError(t, os.CopyFS(changed, os.DirFS(dir)))
	require.NoError(t, os.WriteFile(filepath.Join(changed, file), text, 0o600))
	made, err := compose.Import(stack(changed))
	if err != nil {
		return err.Error()
	}
	return signature(made)
}

// withoutEntry takes the i-th entry of a mapping, or element of a sequence, out of a file;
// key is "" if there are not as many, and nothing is taken out.
func withoutEntry(t *testing.T, file string, i int) (key string, text []byte) {
	t.Helper()
	read, err := os.ReadFile(file)
	require.NoError(t, err)
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal(read, &document))
	key = takeOut(document.Content[0], "", &i)
	text, err = yaml.Marshal(&document)
	require.NoError(t, err)
	return key, text
}

// takeOut removes the entry with that index below a node, and returns its key.
func takeOut(n *yaml.Node, at string, i *int) string {
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	} else if n.Kind != yaml.SequenceNode {
		return ""
	}
	for e := 0; e < len(n.Content); e += step {
		key := fmt.Sprintf("%s[%d]", at, e)
		if step == 2 {
			key = strings.TrimPrefix(at+"."+n.Content[e].Value, ".")
		}
		if *i--; *i < 0 {
			n.Content = slices.Delete(n.Content, e, e+step)
			return key
		}
		if found := takeOut(n.Content[e+step-1], key, i); found != "" {
			return found
		}
	}
	return ""
}
