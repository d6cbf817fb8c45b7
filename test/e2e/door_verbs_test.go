package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/stretchr/testify/require"
)

// typed is a command line that goes through a gateway. S stands for the service, N for its
// node, and F for a file with a value.
type typed struct {
	line string
	// changes is set where a reader is refused.
	changes bool
	// fails is what an error says that has nothing to do with the gateway; "" for success.
	fails string
}

// throughGateways are command lines of every verb that asks the control plane, in an order
// in which they succeed.
var throughGateways = []typed{
	{line: "status"}, {line: "status S"}, {line: "ps"}, {line: "plan S"}, {line: "history S"}, {line: "history S 1"}, {line: "events"},
	{line: "audit"}, {line: "jobs"}, {line: "job history S/backup"}, {line: "job logs S/backup"}, {line: "logs S -n 1"}, {line: "open S --print", fails: "any"},
	{line: "route list"}, {line: "edge list"}, {line: "node list"}, {line: "node status"},
	{line: "node show N"}, {line: "node policy N"}, {line: "service list"}, {line: "service show S"}, {line: "service check"},
	{line: "build log S"}, {line: "doctor", fails: "any"}, {line: "identity list"}, {line: "secret list"},

	{line: "secret set S/db --file F", changes: true}, {line: "secret import S F.env", changes: true}, {line: "secret show S/db"},
	{line: "secret keygen F.key"}, {line: "secret rekey S --identity F.key", changes: true, fails: "is not sealed to the key"},
	{line: "secret rotate S/db --file F.env", changes: true, fails: "any"}, {line: "secret rm S/db -y", changes: true},

	{line: "build S", changes: true}, {line: "sync S", changes: true}, {line: "run S/backup", changes: true},
	{line: "job pause S/backup", changes: true}, {line: "job resume S/backup", changes: true},
	{line: "job cancel S/backup", fails: "no run of"}, {line: "cancel S", fails: "any"},
	{line: "exec S/app -- /app say hello 0", changes: true}, {line: "cp F S/app:/copied", changes: true},
	{line: "maintenance S on", changes: true, fails: "any"}, {line: "adopt S", changes: true, fails: "any"},
	{line: "restart S", changes: true}, {line: "stop S", changes: true}, {line: "start S", changes: true},
	{line: "deploy S --force", changes: true}, {line: "rollback S", changes: true},
	{line: "purge S -y", fails: "any"}, {line: "undeploy S -y", changes: true}, {line: "purge S -y", changes: true}, {line: "deploy S"},

	{line: "node drain N", changes: true}, {line: "node activate N", changes: true}, {line: "node remove N -y", changes: true, fails: "any"},
	{line: "edge admit door-front --key age1z6qxajqn4uc8z6hg00g5kazg92p9s5xdccd9skntnfkhnucxqe7qh8z9e8", changes: true},
	{line: "edge show door-front"}, {line: "edge remove door-front -y", changes: true},
	{line: "identity create reader other --service S", changes: true}, {line: "identity revoke reader other -y", changes: true},
	{line: "identity rotate --status", changes: true},
}

// notThroughGateways are the verbs that ask no gateway, and why.
var notThroughGateways = map[string]string{
	"completion": "prints", "config show": "prints", "version": "prints", "build sign": "asks the image registry", "node signatures": "reads files",
	"dev": "has a platform of its own", "dev down": "has a platform of its own", "dev trust": "changes this machine",
	"gateway": "is one", "worker": "serves: see the other tests of gateways", "join": "gets an identity first: see newDoorWorld", "node join": "is mcp join",
	"key forget": "is refused there: see losesKeys", "key list": "reads a file", "key new": "writes a file", "key promote": "writes a file", "key remove": "writes a file",
	"migrate": "asks Postgres", "port-forward": "goes on until a signal: see streams", "service edit": "writes a file", "service export": "writes files", "service import": "writes a file", "service new": "writes a file",
	"secret signer": "prints",
}

// verbs types every verb as an operator, whom the gateways refuse nothing, and what changes
// something also as a reader, whom they refuse it.
func (d *doorWorld) verbs(service string) {
	t := d.plane.t
	t.Helper()
	seen := map[string]bool{}
	for _, one := range throughGateways {
		seen[verbTyped(strings.Fields(one.line))] = true
	}
	reference, err := os.ReadFile("../../docs/commands.md") // which is made of the commands
	require.NoError(t, err)
	for _, heading := range regexp.MustCompile(`(?m)^## mcp (.+)$`).FindAllStringSubmatch(string(reference), -1) {
		verb := heading[1]
		require.NotEqual(t, seen[verb], notThroughGateways[verb] != "", "mcp %s: have it go through a gateway here, or give the reason why it does not", verb)
	}

	guest := d.machine("guest", withoutDoor(d.lines())...)
	d.join(guest, d.token(d.world, "reader", "guest", "--service", service))
	value := filepath.Join(d.dir, "value")
	require.NoError(t, os.WriteFile(value, []byte("a value"), 0o600))
	require.NoError(t, os.WriteFile(value+".env", []byte("TOKEN=x\n"), 0o600))
	fill := strings.NewReplacer("S", service, "N", d.plane.node, "F", value)
	for _, one := range throughGateways {
		args := strings.Fields(one.line)
		for i, arg := range args {
			if !strings.HasPrefix(arg, "-") {
				args[i] = fill.Replace(arg)
			}
		}
		if one.changes {
			r := guest.mcp(args...)
			require.NotZero(t, r.code, "mcp %s, as a reader: %s", one.line, r)
			require.Regexp(t, "the gateway refuses|reader/guest may not", r.stderr, "mcp %s, as a reader", one.line)
		}
		r := d.mcp(args...)
		require.NotRegexp(t, "the gateway refuses|operator/anna may not", r.stdout+r.stderr, "mcp %s", one.line)
		switch one.fails {
		case "":
			require.Zero(t, r.code, "mcp %s: %s", one.line, r)
		case "any":
		default:
			require.NotZero(t, r.code, "mcp %s: %s", one.line, r)
			require.Contains(t, r.stderr, one.fails, "mcp %s", one.line)
		}
	}
	require.Zero(t, d.mcp("identity", "revoke", "reader", "guest", "-y").code)
}

// withoutDoor are the lines of a configuration before its section for gateways.
func withoutDoor(lines []string) (rest []string) {
	in := false
	for _, line := range lines {
		if strings.HasPrefix(line, "[") {
			in = line == "[door]"
		}
		if !in {
			rest = append(rest, line)
		}
	}
	return rest
}
