package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/test/pages"
)

// elsewhere are the sections that test/machines runs, because each of their blocks is for
// another machine.
var elsewhere = []string{"### Identities\n", "### A node, in two commands\n"}

// TestTheDocs runs every block of the documentation: see docsRunner. A block without
// a rule fails.
func TestTheDocs(t *testing.T) {
	t.Parallel()
	bin := programs(t)
	files, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	for _, page := range append(files, "../../README.md") {
		name := filepath.Base(page)
		if name == "commands.md" {
			continue // internal/cli/manual generates it, and parses its examples
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(page)
			require.NoError(t, err)
			p := newDocsRunner(t, bin)
			if prepare := preparations[name]; prepare != nil {
				prepare(p)
			}
			for _, block := range pages.Blocks(string(text)) {
				p.do(block)
			}
			p.startUnits()
		})
	}
}

// programs returns a directory with mcp, which is this test binary, and the programs
// that it starts.
func programs(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	said, err := exec.Command("cp", self, filepath.Join(dir, "mcp")).CombinedOutput()
	require.NoError(t, err, string(said))
	for _, name := range []string{"temporal", "registry"} {
		program, err := filepath.Abs(filepath.Join("../../bin", name))
		require.NoError(t, err)
		require.NoError(t, os.Symlink(program, filepath.Join(dir, name)))
	}
	return dir
}

// preparations are what pages take for granted.
var preparations = map[string]func(*docsRunner){
	// It starts a platform of its own, below an empty directory.
	"getting-started.md": func(p *docsRunner) {
		p.workspace, p.services, p.configFile = p.dir, filepath.Join(p.dir, "services"), ""
		p.registry = unusedAddress()
		p.mustRun("rm -r services workspace mcp.toml")
		_, port, _ := strings.Cut(p.registry, ":")
		p.replace("127.0.0.1:5000", p.registry, "--registry-port 5000", "--registry-port "+port)
		p.t.Cleanup(func() { _, _ = p.run("mcp dev down --destroy") }) // if a block failed
	},
	// The demo's sources, compiled, and its definition, which the page shows only
	// after it is deployed.
	"README.md": func(p *docsRunner) {
		p.replace("127.0.0.1:5000", p.registry, "--workspace /src", "--workspace "+p.workspace)
		// The demo has an edge; this platform has none.
		p.replace("hostname = \"guestbook.localhost\"\n", "", "  + https://guestbook.localhost:8443  web\n", "",
			"  4.04s ✓ reach the new containers from local\n", "", "  4.13s ✓ publish to local\n", "")
		sources, err := filepath.Abs("../../examples/src/guestbook")
		require.NoError(p.t, err)
		p.mustRun("cp -r " + sources + " workspace")
		for _, part := range []string{"web", "api"} {
			p.mustRun("cd workspace/guestbook && CGO_ENABLED=0 go build -o bin/guestbook-" + part + " ./" + part)
		}
		example, err := os.ReadFile("../../examples/services/guestbook.toml")
		require.NoError(p.t, err)
		p.do(pages.Block{Language: "toml", Text: string(example)})
	},
	// A fleet on this machine: a namespace of Temporal and a node of its own.
	"operating.md": func(p *docsRunner) {
		p.alone()
		info := shared.platform.Info()
		temporal := info.Temporal() + "\"\nnamespace = \"" + p.namespace
		podman := "\"\nsocket = \"" + info.Podman
		p.replace(
			"postgres://mcp:PASSWORD@127.0.0.1:5432/mcp", p.databaseURL(),
			"127.0.0.1:7233", temporal, "temporal.example:7233", temporal,
			`"0.0.0.0:7433"`, fmt.Sprintf("%q\nmetrics = \"off\"", unusedAddress()), "/var/lib/mcp-gateway", filepath.Join(p.root, "gateway"),
			`publish = "10.0.0.5`, `publish = "127.0.0.1`+podman,
			`workspace = "/src`, `workspace = "`+p.workspace+podman,
		)
	},
	// An edge in memory, in a namespace of its own.
	"edge.md": func(p *docsRunner) {
		p.alone()
		p.replace("temporal.example:7233", shared.platform.Info().Temporal()+"\"\nnamespace = \""+p.namespace)
		p.worker("--control")
		// It is installed, and not run: mcp dev would run what is beside mcp.
		p.mustRun("rm bin && mkdir bin && echo no program >bin/mcp-edge")
	},
	// A service that does not start, and is not restarted: otherwise it would depend
	// on timing whether an observation reports the restart.
	"troubleshooting.md": func(p *docsRunner) {
		p.source("v1", "")
		p.replace("rift", p.node)
		misled := p.service("shop", "v1", `cmd = ["/app", "say", "config: no such file", "3"]`+"\nrestart = \"no\"")
		p.define("shop", strings.Replace(misled, `name = "app"`, `name = "api"`, 1))
	},
}
