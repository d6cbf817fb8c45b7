package e2e

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	composecli "github.com/compose-spec/compose-go/v2/cli"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/test/edges"
	"github.com/metacircular/mcp/test/pages"
	"github.com/metacircular/mcp/workflows"
)

// docsRunner runs the blocks of a page, one after the other, in a directory of its own
// that resembles a checkout of mcp. Commands of mcp are real. Files of the machine
// are below a directory that stands for /, and foreign programs are stubs, which
// record their arguments.
type docsRunner struct {
	*world
	bin, root string
	// configFile is $MCP_CONFIG; "" for none.
	configFile string
	// instead are the replacements of a page's words: old, new, …
	instead []string
	section string
	// enabled are the units that this section enables.
	enabled []string
}

// foreign are the programs that are stubs.
var foreign = []string{"apt-get", "chown", "docker", "systemctl", "tcld", "useradd"}

func newDocsRunner(t *testing.T, bin string) *docsRunner {
	t.Helper()
	p := &docsRunner{world: newWorld(t), root: t.TempDir(), bin: t.TempDir()}
	p.configFile = p.config()
	repository, err := filepath.Abs("../..")
	require.NoError(t, err)
	for _, name := range []string{"mcp", "temporal", "registry"} {
		require.NoError(t, os.Symlink(filepath.Join(bin, name), filepath.Join(p.bin, name)))
	}
	for _, name := range foreign {
		p.program(name, `echo "$(basename "$0") $*" >> `+p.asked())
	}
	p.program("make", "exec /usr/bin/make --dry-run -C "+repository+` "$@"`)
	for _, name := range []string{"docker-compose.yml", "deploy"} {
		require.NoError(t, os.Symlink(filepath.Join(repository, name), filepath.Join(p.dir, name)))
	}
	require.NoError(t, os.Symlink(bin, filepath.Join(p.dir, "bin")))
	for _, dir := range []string{"etc/systemd/system", "usr/local/bin"} {
		require.NoError(t, os.MkdirAll(filepath.Join(p.root, dir), 0o755))
	}
	for _, dir := range []string{"/etc/", "/usr/local/bin/"} {
		p.replace(" "+dir, " "+p.root+dir, `"`+dir, `"`+p.root+dir, "="+dir, "="+p.root+dir)
	}
	return p
}

// program writes a stub of a program.
func (p *docsRunner) program(name, text string) {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(filepath.Join(p.bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
}

// asked is the file with a line for each call of a stub.
func (p *docsRunner) asked() string { return filepath.Join(p.root, "asked") }

// replace replaces words of a page: old, new, …
func (p *docsRunner) replace(pairs ...string) { p.instead = append(p.instead, pairs...) }

var named = regexp.MustCompile(`^(?://|#) (\S+/\S+)\n`)

// do runs one block, by its kind.
func (p *docsRunner) do(b pages.Block) {
	p.t.Helper()
	if b.Section != p.section {
		p.startUnits()
		p.section = b.Section
	}
	if slices.Contains(elsewhere, b.Section) {
		return
	}
	text := strings.NewReplacer(p.instead...).Replace(b.Text)
	file := named.FindStringSubmatch(text)
	switch {
	case file != nil:
		p.write(filepath.Join(p.dir, file[1]), text)
	case b.Language == "console":
		p.console(text)
	case b.Language == "sh":
		p.script(text)
	case b.Language == "toml" && strings.HasPrefix(text, "# mcp.toml\n"):
		p.configuration(text)
	case b.Language == "toml" && strings.HasPrefix(text, "# node-policy.toml\n"):
		_, err := policy.Parse([]byte(text), "block")
		require.NoError(p.t, err)
	case b.Language == "toml":
		p.definition(text)
	case b.Language == "yaml":
		p.yaml(text)
	case b.Language == "hcl":
		_, problems := hclparse.NewParser().ParseHCL([]byte(text), "job")
		require.False(p.t, problems.HasErrors(), problems.Error())
	default:
		require.Fail(p.t, "no rule for this block", "%s\n%s", b.Language, b.Text)
	}
}

func (p *docsRunner) write(path, text string) {
	p.t.Helper()
	require.NoError(p.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(p.t, os.WriteFile(path, []byte(text), 0o600))
}

// configuration writes an mcp.toml of the section's host. mcp must be able to show it.
func (p *docsRunner) configuration(text string) {
	p.t.Helper()
	file := filepath.Join(p.root, "etc/mcp/mcp.toml")
	p.write(file, text)
	p.mustRun("mcp config show --config " + file)
}

// definition writes that of a service, which must be valid.
func (p *docsRunner) definition(text string) {
	p.t.Helper()
	service, err := servicedef.Parse([]byte(text), "block")
	require.NoError(p.t, err)
	file := filepath.Join(p.services, service.Name+".toml")
	p.write(file, text)
	p.mustRun("mcp service check " + file)
}

// yaml checks a file of another program, read as that program reads it.
func (p *docsRunner) yaml(text string) {
	p.t.Helper()
	var file struct {
		Services      map[string]any // Compose
		Service       string         // Kamal
		ScrapeConfigs []struct {     // Prometheus
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	require.NoError(p.t, yaml.Unmarshal([]byte(text), &file))
	switch {
	case file.Services != nil:
		path := filepath.Join(p.t.TempDir(), "compose.yml")
		p.write(path, text)
		p.compose(path, "")
	case file.ScrapeConfigs != nil:
		_, port, _ := strings.Cut(config.DefaultListen, ":")
		for _, target := range file.ScrapeConfigs[0].StaticConfigs[0].Targets {
			require.Regexp(p.t, `:`+port+`$`, target)
		}
	default:
		require.NotEmpty(p.t, file.Service, "a file of no known program:\n%s", text)
	}
}

// compose reads a file as docker compose does, with a file of variables.
func (p *docsRunner) compose(file, variables string) {
	p.t.Helper()
	options := []composecli.ProjectOptionsFn{composecli.WithName("docs"), composecli.WithWorkingDirectory(p.dir)}
	if variables != "" {
		options = append(options, composecli.WithEnvFiles(variables), composecli.WithDotEnv)
	}
	loading, err := composecli.NewProjectOptions([]string{file}, options...)
	require.NoError(p.t, err)
	_, err = loading.LoadProject(p.t.Context())
	require.NoError(p.t, err)
}

// run runs lines of shell in the page's directory.
func (p *docsRunner) run(lines string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", lines)
	cmd.Dir = p.dir
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); p.getenv(name) != "" {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "PATH="+p.bin+":"+os.Getenv("PATH"), mcpVariable+"=1")
	if p.configFile != "" {
		cmd.Env = append(cmd.Env, "MCP_CONFIG="+p.configFile)
	}
	said, err := cmd.CombinedOutput()
	return string(said), err
}

func (p *docsRunner) mustRun(lines string) string {
	p.t.Helper()
	said, err := p.run(lines)
	require.NoError(p.t, err, "%s\n%s", lines, said)
	return said
}

// workerLine matches a command that runs until it is stopped.
var workerLine = regexp.MustCompile(`(?m)^mcp (worker .*?) *(#.*)?\n`)

// script runs the lines of a block, and checks the calls of stubs.
func (p *docsRunner) script(text string) {
	p.t.Helper()
	workers := workerLine.FindAllStringSubmatch(text, -1)
	if workers != nil {
		fleet := newWorld(p.t)
		fleet.alone()
		for _, line := range workers {
			fleet.worker(strings.Fields(line[1])[1:]...)
		}
	}
	text = workerLine.ReplaceAllString(text, "")
	if strings.Contains(text, "export TEMPORAL_") {
		p.exports(text)
		return
	}
	_ = os.Remove(p.asked())
	p.mustRun(text)
	asked, err := os.Open(p.asked())
	if err != nil {
		return // no stub was called
	}
	defer asked.Close()
	for lines := bufio.NewScanner(asked); lines.Scan(); {
		p.check(lines.Text())
	}
}

// exports checks that mcp uses Temporal's variables: it shows their values, and reads
// the files that they name.
func (p *docsRunner) exports(text string) {
	p.t.Helper()
	show := text + "mcp config show --json"
	var values [][]string
	var files []string
	for _, pair := range regexp.MustCompile(`export (\S+)=(\S+)`).FindAllStringSubmatch(text, -1) {
		if !filepath.IsAbs(pair[2]) {
			values = append(values, pair)
			continue
		}
		files = append(files, pair[2])
	}
	for len(files) > 0 { // in whatever order mcp reads them
		said, err := p.run(show)
		require.Error(p.t, err, said)
		missing := slices.IndexFunc(files, func(file string) bool { return strings.Contains(said, file+": no such file") })
		require.GreaterOrEqual(p.t, missing, 0, said)
		p.write(files[missing], keyPair())
		files = slices.Delete(files, missing, missing+1)
	}
	var shown struct {
		Settings []struct{ Value, Source string }
	}
	said := p.mustRun(show)
	require.NoError(p.t, json.Unmarshal([]byte(said), &shown))
	for _, pair := range values {
		require.True(p.t, slices.ContainsFunc(shown.Settings, func(s struct{ Value, Source string }) bool {
			return s.Source == "$"+pair[1] && s.Value == pair[2]
		}), "%s: mcp does not use it\n%s", pair[0], said)
	}
}

// keyPair returns a certificate with its key.
var keyPair = sync.OnceValue(func() string {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
})

// check checks a call of a stub.
func (p *docsRunner) check(asked string) {
	p.t.Helper()
	words := strings.Fields(asked)
	switch words[0] {
	case "docker":
		require.Equal(p.t, "docker compose up --wait", asked)
		p.compose(filepath.Join(p.dir, "docker-compose.yml"), filepath.Join(p.dir, ".env"))
	case "systemctl":
		require.Equal(p.t, []string{"systemctl", "enable", "--now"}, words[:3])
		if words[3] != "podman.socket" {
			p.enabled = append(p.enabled, words[3])
		}
	case "tcld":
		var given, want []string
		for i, word := range words {
			if word == "--search-attribute" {
				given = append(given, words[i+1])
			}
		}
		for _, key := range workflows.SearchAttributes() {
			want = append(want, key.GetName()+"="+key.GetValueType().String())
		}
		require.Equal(p.t, want, given)
	case "useradd":
		user := words[len(words)-1]
		if user == "mcp" {
			user = "mcp-control"
		}
		unit, err := os.ReadFile("../../deploy/systemd/" + user + ".service")
		require.NoError(p.t, err)
		require.Contains(p.t, string(unit), "\nUser="+words[len(words)-1]+"\n")
	}
}

// startUnits starts the units that the section has enabled, with the section's
// configuration.
func (p *docsRunner) startUnits() {
	p.t.Helper()
	for _, name := range p.enabled {
		template, instance, _ := strings.Cut(name, "@")
		if instance != "" {
			template += "@"
		}
		unit, err := os.ReadFile(filepath.Join(p.root, "etc/systemd/system", template+".service"))
		require.NoError(p.t, err, "%s is not installed", name)
		if name == "mcp-edge" {
			p.announceEdge()
			continue
		}
		if name == "mcp-gateway" {
			p.serveGateway(unit)
			continue
		}
		started := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/mcp worker (.*)$`).FindSubmatch(unit)
		require.NotNil(p.t, started, name)
		flags := strings.NewReplacer("%i", instance, "%l", p.builder).Replace(string(started[1]))
		text, err := os.ReadFile(filepath.Join(p.root, "etc/mcp/mcp.toml"))
		require.NoError(p.t, err)
		p.write(p.config(), string(text))
		p.worker(strings.Fields(flags)...)
		if instance != "" {
			list := fmt.Sprintf(`(?m)^%s +(ready|unknown) `, instance)
			require.Regexp(p.t, list, p.mustRun("mcp node list"))
		}
	}
	p.enabled = nil
}

// serveGateway starts a gateway with the section's configuration.
func (p *docsRunner) serveGateway(unit []byte) {
	p.t.Helper()
	require.Contains(p.t, string(unit), "\nExecStart=/usr/local/bin/mcp gateway\n")
	text, err := os.ReadFile(filepath.Join(p.root, "etc/mcp/mcp.toml"))
	require.NoError(p.t, err)
	p.write(p.config(), string(text))
	serving := p.process("gateway")
	require.Eventually(p.t, func() bool { return strings.Contains(serving.stderr.String(), "gateway ready") }, time.Minute, 50*time.Millisecond)
}

// announceEdge starts the edge of the section's configuration, in memory: the module
// edge tests the program.
func (p *docsRunner) announceEdge() {
	p.t.Helper()
	c, err := config.Load(filepath.Join(p.root, "etc/mcp/mcp.toml"), func(string) string { return "" })
	require.NoError(p.t, err)
	e, err := edges.New(p.temporal(), c.Edge.Name, fleet.Machine{ID: p.node})
	require.NoError(p.t, err)
	require.NoError(p.t, e.Start())
	p.t.Cleanup(e.Stop)
	_, err = e.Announce(p.t.Context())
	require.NoError(p.t, err)
}

// console runs the commands of a block one after the other, and checks their output. A
// command whose output shows an error must fail.
func (p *docsRunner) console(block string) {
	p.t.Helper()
	for _, one := range regexp.MustCompile(`(?m)^\$ `).Split(block, -1)[1:] {
		line, want, _ := strings.Cut(one, "\n")
		said, err := p.run(line)
		if regexp.MustCompile(`(?m)^error: `).MatchString(want) {
			require.Error(p.t, err, "%s\n%s", line, said)
		} else {
			require.NoError(p.t, err, "%s\n%s", line, said)
		}
		wantSteps, want := stepsIn(want)
		saidSteps, said := stepsIn(said)
		if wantSteps != nil {
			require.Equal(p.t, wantSteps, saidSteps, line)
		}
		require.Regexp(p.t, pattern(want), loose(said), line)
	}
}

var (
	stepLine = regexp.MustCompile(`(?m)^ *[\d.]+m?s ([✓✗…]) (.*?)(?:  \([\d.]+m?s\))?\n`)
	figures  = regexp.MustCompile(`\d[\d.:-]*(ms|s)?`)
)

// stepsIn removes the lines of steps from a text. It returns the steps that have
// ended, once each and sorted: their order, and whether a step was shown before its
// end, depends on timing.
func stepsIn(text string) (done []string, rest string) {
	for _, line := range stepLine.FindAllStringSubmatch(text, -1) {
		if line[1] == "✓" {
			done = append(done, line[2])
		}
	}
	slices.Sort(done)
	return slices.Compact(done), stepLine.ReplaceAllString(text, "")
}

// loose returns a text without figures, and with single spaces.
func loose(text string) string {
	return regexp.MustCompile(`[ \t]+`).ReplaceAllString(figures.ReplaceAllString(text, "0"), " ")
}

// pattern returns the regular expression of a console's output: "…" matches anything,
// and a figure any figure.
func pattern(shown string) string {
	quoted := regexp.QuoteMeta(strings.TrimSpace(loose(shown)))
	quoted = regexp.MustCompile(`(?m)^…\n`).ReplaceAllString(quoted, "(.*\n)?") // whole lines, or none
	return fmt.Sprintf(`(?s)^\s*%s\s*$`, strings.ReplaceAll(quoted, "…", ".*"))
}
