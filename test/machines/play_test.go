package machines_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/test/pages"
	"github.com/metacircular/mcp/test/printed"
)

// section returns the blocks of a section of docs/operating.md.
func section(t *testing.T, heading string) []pages.Block {
	t.Helper()
	text, err := os.ReadFile("../../docs/operating.md")
	require.NoError(t, err)
	var blocks []pages.Block
	for _, b := range pages.Blocks(string(text)) {
		if b.Section == heading+"\n" {
			blocks = append(blocks, b)
		}
	}
	require.NotEmpty(t, blocks, heading)
	return blocks
}

// on is a machine in a test.
type on struct {
	*machine
	t *testing.T
}

// install writes the configurations of a section, and runs its commands in a checkout, with
// some words replaced: old, new, …
func (m on) install(heading string, instead ...string) {
	m.t.Helper()
	var commands string
	for _, b := range section(m.t, heading) {
		text := strings.NewReplacer(instead...).Replace(b.Text)
		if b.Language == "sh" {
			commands += text
			continue
		}
		require.True(m.t, strings.HasPrefix(text, "# mcp.toml\n"), text)
		m.write("/etc/mcp/mcp.toml", text)
	}
	m.run("cd /root/checkout\n" + commands)
}

// run runs lines of shell as root, which must succeed, and returns what they print.
func (m on) run(lines string) string {
	m.t.Helper()
	said, problem, err := m.try(lines)
	require.NoError(m.t, err, "%s: %s\n%s%s", m.name, lines, said, problem)
	return said
}

// refused runs a command that must fail, and returns what it says.
func (m on) refused(line string) string {
	m.t.Helper()
	said, problem, err := m.try(line)
	require.Error(m.t, err, "%s: %s\n%s%s", m.name, line, said, problem)
	return problem
}

// try runs lines of shell as root, and returns what they print and say.
func (m on) try(lines string) (said, problem string, err error) {
	var out, complaint strings.Builder
	cmd := m.shell(m.t.Context(), lines)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err = cmd.Run()
	return out.String(), complaint.String(), err
}

func (m on) write(path, text string) {
	m.t.Helper()
	m.run("mkdir -p $(dirname " + path + ")")
	require.NoError(m.t, os.WriteFile(m.file(path), []byte(text), 0o644))
}

// log is what a unit has printed so far.
func (m on) log(unit string) string {
	text, _ := os.ReadFile(m.file(logOf(unit))) // "" before it starts
	return string(text)
}

// until waits until a command prints or says a text.
func (m on) until(line, text string) {
	m.t.Helper()
	var said, problem string
	require.Eventually(m.t, func() bool {
		said, problem, _ = m.try(line)
		return strings.Contains(said+problem, text)
	}, time.Minute, 100*time.Millisecond, "%s: %s never says %q", m.name, line, text)
}

// untilLogs waits until a unit prints a text.
func (m on) untilLogs(unit, text string) {
	m.t.Helper()
	require.Eventually(m.t, func() bool { return strings.Contains(m.log(unit), text) }, time.Minute, 20*time.Millisecond, "%s: %s never says %q", m.name, unit, text)
}

// process is a command that runs while the test goes on.
type process struct {
	printed.Text
	t   *testing.T
	cmd *exec.Cmd
}

// begin starts lines of shell as root.
func (m on) begin(lines string) *process {
	m.t.Helper()
	p := &process{t: m.t, cmd: m.shell(m.t.Context(), lines)}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	require.NoError(m.t, p.cmd.Start())
	return p
}

func (p *process) wait() error { return p.cmd.Wait() }

func (p *process) untilSays(text string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return strings.Contains(p.String(), text) }, time.Minute, 20*time.Millisecond, "never says %q: %s", text, p)
}
