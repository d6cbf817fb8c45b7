package threat

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/test/printed"
)

// lines are command lines of every verb; E stands for the hostile strings, T for one of
// them, and S for a service that no other line has.
var lines = map[string][]string{
	"secret":          {"E"},
	"secret import":   {"S evil.env", "S E", "E evil.env"},
	"secret keygen":   {"E", "evil.env", "fresh.key --name E"},
	"secret list":     {"", "S", "E"},
	"secret rekey":    {"S --identity evil.env", "S --identity E", "E"},
	"secret rm":       {"S/db", "S/db -y", "E"},
	"secret rotate":   {"S/db --file evil.env", "S/db --exec E --revoke E", "E"},
	"secret set":      {"S/db", "S/db --file evil.env", "S/db --exec E", "S/db --file E", "E", "S/db --node E --file evil.env"},
	"secret show":     {"S/db", "E"},
	"secret signer":   {"", "--config E"},
	"adopt":           {"S", "S --dry-run"},
	"audit":           {"", "--service E", "--who E --since 1h", "--before E"},
	"build":           {"S"},
	"build log":       {"S"},
	"build sign":      {"E", "--new-key E"},
	"cancel":          {"held", "S"},
	"completion":      {"bash", "E"},
	"config":          {"E"},
	"node":            {"E"},
	"service":         {"E"},
	"config show":     {"", "--config evil.toml", "--config E"},
	"cp":              {"S/app:/E .", "E E", "E:/E -", "other E:/x"},
	"deploy":          {"S", "S other", "E"},
	"dev":             {"--workspace E", "--dir E --publish E"},
	"dev down":        {"--dir E", "--dir broken"},
	"dev trust":       {"--dir E", "--dir broken"},
	"doctor":          {""},
	"edge":            {"E"},
	"edge admit":      {"E", "front", "front -y", "front --fingerprint E", "front --key E"},
	"edge list":       {""},
	"edge remove":     {"E", "front", "front -y"},
	"edge show":       {"E", "front"},
	"events":          {"", "--follow"},
	"exec":            {"S/app -- true", "E -- E"},
	"gateway":         {"--config E", "--listen E", "--log-format E"},
	"identity":        {"E"},
	"identity create": {"node E", "E E", "deployer ci --service E", "reader ci --service S --grant E", "node rift", "node rift --direct"},
	"identity list":   {"", "--direct", "E"},
	"identity revoke": {"node E", "E E -y", "node rift", "node rift -y"},
	"identity rotate": {"E", "", "--status", "--finish", "--finish --force -y", "--direct"},
	"join":            {"E", "T --publish E"},
	"node join":       {"E", "T --publish E"},
	"history":         {"S", "S 1", "S E"},
	"job":             {"E"},
	"job cancel":      {"S/app", "E"},
	"job history":     {"S/app", "E"},
	"job logs":        {"S/app", "S/app 1", "S/app E"},
	"job pause":       {"S/app", "E"},
	"job resume":      {"S/app", "E"},
	"jobs":            {"", "S", "E"},
	"run":             {"S/app", "S/app -- E", "--detach S/app", "E"},
	"key":             {"E"},
	"key forget":      {"E", "E -y --file E"},
	"key list":        {"", "--file E"},
	"key new":         {"E", "--file E/E"},
	"key promote":     {"E", "E --file E"},
	"key remove":      {"E", "E --file E", "E -y --file E"},
	"logs":            {"S", "S --follow", "S --timestamps", "S --since E", "S --edge"},
	"maintenance":     {"E on", "S off", "S E"},
	"migrate":         {"", "--config E"},
	"node activate":   {"E"},
	"node drain":      {"E"},
	"node list":       {""},
	"node policy":     {"E"},
	"node remove":     {"E", "E -y"},
	"node show":       {"E"},
	"node status":     {"", "E"},
	"node signatures": {"", "--config E"},
	"open":            {"--print", "E --config open.toml", "S --print", "S --ui --config open.toml"},
	"plan":            {"S", "E"},
	"port-forward":    {"S/app 80", "E 80", "S E", "S 80 --address E"},
	"ps":              {"", "--node E"},
	"purge":           {"S", "S -y", "S --dry-run"},
	"restart":         {"S"},
	"rollback":        {"S", "S 1"},
	"route":           {"E"},
	"route list":      {"", "E"},
	"service export":  {"E", "other", "other --format quadlet", "other --format E", "other --output E"},
	"service import":  {"E", "evil.yaml", "evil.yaml --name E", "evil.yaml --node n --output E"},
	"service check":   {"", "evil", "E", "other"},
	"service edit":    {"E", "S"},
	"service list":    {""},
	"service new":     {"E", "fresh --node T --image T"},
	"service show":    {"E", "other"},
	"start":           {"S"},
	"status":          {"", "E"},
	"stop":            {"S"},
	"sync":            {"", "E"},
	"undeploy":        {"S", "S -y"},
	"version":         {"", "E"},
	"worker":          {"--node E", "--builder b --workspace E", "--control --config E"},
}

// TestTerminal runs every verb on a terminal, with hostile strings in its arguments,
// its files, its environment and all that the control plane answers. No character of
// them may reach the terminal that it would obey.
func TestTerminal(t *testing.T) {
	d := newDesk(t)
	for _, verb := range verbs((&cli.App{Stdout: io.Discard, Stderr: io.Discard, Getenv: os.Getenv}).Root().Commands(), "") {
		require.NotEmpty(t, lines[verb], "no command line for mcp %s", verb)
	}
	var mu sync.Mutex
	runs, reached, marked := 0, 0, map[string]bool{}
	for manner := range int32(manners) {
		d.plane.manner.Store(manner)
		kinds := []string{""}
		if manner == thorough {
			kinds = []string{"", "--json", "screen"}
		}
		var all errgroup.Group
		all.SetLimit(atOnce)
		for _, line := range d.lines {
			all.Go(func() error {
				for _, kind := range kinds {
					output := d.run(t, kind, line)
					found := obeyed(output)
					if len(found) > 0 {
						t.Errorf("mcp %s (%d %s): %d control characters, such as %q", line, manner, kind, len(found), found[0])
					}
					mu.Lock()
					runs, reached = runs+1, reached+len(found)
					marked[line.verb] = marked[line.verb] || strings.Contains(output, mark)
					mu.Unlock()
				}
				return nil
			})
		}
		require.NoError(t, all.Wait())
	}
	for verb := range lines {
		if !marked[verb] {
			t.Errorf("mcp %s: no hostile string was shown", verb)
		}
	}
	t.Logf("control characters that reached the terminal: %d, of %d hostile strings in %d runs of %d verbs", reached, len(hostile), runs, len(lines))
}

// atOnce is how many commands run at once: they wait more than they work.
const atOnce = 6

// command is a command of the command line.
type command[C any] interface {
	Commands() []C
	Name() string
	Runnable() bool
}

// verbs are the commands that do something.
func verbs[C command[C]](commands []C, before string) []string {
	var list []string
	for _, c := range commands {
		name := strings.TrimSpace(before + " " + c.Name())
		if c.Runnable() && c.Name() != "help" {
			list = append(list, name)
		}
		list = append(list, verbs(c.Commands(), name)...)
	}
	return list
}

// desk is a place where mcp is run.
type desk struct {
	dir   string
	plane *controlPlane
	lines []line
}

// line is a command line.
type line struct{ verb, rest, service string }

func (l line) String() string { return l.verb + " " + l.rest }

// args are the arguments, with a flag after the verb.
func (l line) args(flag string) []string {
	args := strings.Fields(l.verb + " " + flag)
	for _, word := range strings.Fields(l.rest) {
		switch word {
		case "E":
			word = all
		case "T":
			word = hostile[3]
		case "S", "S/app", "S/db":
			word = strings.Replace(word, "S", l.service, 1)
		}
		args = append(args, word)
	}
	return args
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir(), plane: newControlPlane(t)}
	quoted := strings.TrimSpace(string(bytes.ReplaceAll([]byte(fmt.Sprintf("%+q", strings.ToValidUTF8(all, ""))), []byte(`\x`), []byte(`\u00`))))
	quoted = strings.NewReplacer(`\a`, `\u0007`, `\v`, `\u000b`).Replace(quoted)
	files := map[string]string{
		"mcp.toml":                        fmt.Sprintf("services = \"services\"\n[build]\nbuilder = \"desk\"\n[temporal]\naddress = %q\nui = \"http://127.0.0.1:1/evil\"\n", d.plane.address),
		"open.toml":                       fmt.Sprintf("[temporal]\naddress = %q\nui = %s\n", d.plane.address, quoted),
		"evil.toml":                       fmt.Sprintf("services = %s\n[build]\nworkspace = %s\n[temporal]\naddress = %q\n", quoted, quoted, d.plane.address),
		"services/other.toml":             fmt.Sprintf("name = \"other\"\nnode = \"rift\"\n[[components]]\nname = \"app\"\nimage = \"127.0.0.1:1/shop:v1\"\ncmd = [%s]\nenv = { A = %s }\n", quoted, quoted),
		"services/evil.toml":              fmt.Sprintf("name = %s\nnode = %s\n[[components]]\nname = %s\nimage = %s\n%s = 1\n", quoted, quoted, quoted, quoted, quoted),
		"evil.yaml":                       fmt.Sprintf("services:\n  web:\n    image: shop\n    command: [%[1]s]\n    %[1]s: 1\n    labels: {%[1]s: %[1]s}\n    volumes: [%[1]s]\n    ports: [%[1]s]\n    secrets: [%[1]s]\n  %[1]s:\n    image: shop\n", quoted),
		"evil.env":                        "A=" + all + "\n",
		"broken/dev.lock":                 "",
		"broken/dev.pid":                  all,
		"services/\x1b]0;evil\a\x9b.toml": "name = 1\n",
	}
	for verb, rests := range lines {
		for _, rest := range rests {
			l := line{verb, rest, fmt.Sprintf("s%d", len(d.lines))}
			d.lines = append(d.lines, l)
			files["services/"+l.service+".toml"] = fmt.Sprintf("name = %q\nnode = \"rift\"\n[build.images]\nshop = \"Containerfile\"\n[[components]]\nname = \"app\"\nimage = \"127.0.0.1:1/shop:v1\"\n", l.service)
		}
	}
	for name, text := range files {
		path := filepath.Join(d.dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return d
}

// run runs mcp on a terminal, and returns all that was written to it.
func (d *desk) run(t *testing.T, kind string, l line) string {
	t.Helper()
	flag := ""
	if kind == "--json" {
		flag = kind
	}
	if strings.Contains(l.rest, "held") {
		d.plane.hold(t)
	}
	self, err := os.Executable()
	if err != nil {
		t.Error(err)
		return ""
	}
	cmd := exec.Command(self, l.args(flag)...)
	cmd.Dir = d.dir
	cmd.Env = []string{
		mcpVariable + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "TMPDIR=" + d.dir, "MCP_CONFIG=" + filepath.Join(d.dir, "mcp.toml"),
		"EDITOR=false " + all, "USER=" + all, "TERM=dumb",
	}
	if kind == "screen" {
		cmd.Env = append(cmd.Env, "TERM=xterm-256color")
	}
	screen := &printed.Text{}
	if kind == "screen" { // until that has been drawn, a step of this service goes on
		d.plane.waits.Store(l.service, func() bool { return strings.Contains(screen.String(), "beat") })
		defer d.plane.waits.Delete(l.service)
	}
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 200, Rows: 200})
	if err != nil {
		t.Error(err)
		return ""
	}
	defer terminal.Close()
	_, _ = io.WriteString(terminal, strings.Repeat("y\n", 9)) // the answers to questions
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(screen, terminal) // a terminal ends with an error
	}()
	if strings.Contains(l.rest, "--follow") {
		await(func() bool { return strings.Count(screen.String(), mark) > 2*len(hostile) }, copied)
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	end := time.AfterFunc(3*time.Minute, func() { _ = cmd.Process.Kill() })
	<-copied
	_ = cmd.Wait()
	if !end.Stop() {
		t.Errorf("mcp %s does not end:\n%s", l, screen)
	}
	return screen.String()
}

// await waits for a condition, or the end.
func await(condition func() bool, end <-chan struct{}) {
	for !condition() {
		select {
		case <-end:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}
