package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// sealing is a world whose command line has the signing key of the platform's operator.
func sealing(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	text, err := os.ReadFile(w.config())
	require.NoError(t, err)
	platform := filepath.Join(shared.platform.Info().Dir, "keys")
	w.configure(strings.TrimSpace(string(text)), "[secrets]", fmt.Sprintf("signing_key = %q", filepath.Join(platform, "signing.key")))
	return w
}

// set sets a secret to a value, which no argument of a program has.
func (w *world) set(secret, value string, more ...string) reply {
	w.t.Helper()
	file := filepath.Join(w.dir, "value")
	require.NoError(w.t, os.WriteFile(file, []byte(value), 0o600))
	r := w.mcp(append([]string{"secret", "set", secret, "--file", file}, more...)...)
	require.Zero(w.t, r.code, r)
	return r
}

// kept are the podman secrets of a service.
func (w *world) kept(service string) []string {
	w.t.Helper()
	var names []string
	for name := range strings.FieldsSeq(w.podman("secret", "ls", "--format", "{{.Name}}")) {
		if strings.HasPrefix(name, "mcp-"+service+".") {
			names = append(names, name)
		}
	}
	return names
}

// TestASecretGoesWithItsRelease sets a secret, deploys it, changes it, has an update with
// it fail, goes back across it, and lets nothing of it remain.
func TestASecretGoesWithItsRelease(t *testing.T) {
	t.Parallel()
	w := sealing(t)
	const first, second, third = "first/p@ss word", "second%value", "third\nvalue"
	w.source("v1", "")
	// The program answers with $VERSION.
	definition := func(more string) string {
		return w.service("vaulted", "v1", "secrets = [\"db\"]\nsecret_env = { PASSWORD = \"db\" }\n"+
			"env = { VERSION = \"url:{secret:db|urlencode}@db {{secret:db}\""+more+" }")
	}
	w.define("vaulted", definition(""))
	t.Cleanup(func() { w.mcp("undeploy", "vaulted", "-y") })

	r := w.mcp("deploy", "vaulted", "--json")
	require.Equal(t, 1, r.code, r)
	var refused workflows.Result
	r.decode(t, &refused)
	require.Contains(t, refused.Error.Message, "has the secret db in its value, and service vaulted has none of that name", r)

	w.set("vaulted/db", first)
	result := w.deploy("vaulted")
	require.Equal(t, "url:first%2Fp%40ss%20word@db {secret:db}", w.fetch(result.Components[0].Ports["http"]))
	require.Contains(t, w.kept("vaulted"), "mcp-vaulted.db.v1")
	require.Equal(t, workflows.Unchanged, w.deploy("vaulted").Outcome)
	w.set("vaulted/db", first)
	require.Equal(t, workflows.Unchanged, w.deploy("vaulted").Outcome, "the same value is no new version")

	w.set("vaulted/db", second)
	require.Contains(t, w.mcp("plan", "vaulted").stdout, "~ secret db v1→v2")
	result = w.deploy("vaulted")
	require.Equal(t, []plan.Change{{Field: "secret db", From: "v1", To: "v2"}}, result.Components[0].Changes)
	port := result.Components[0].Ports["http"]
	require.Equal(t, "url:second%25value@db {secret:db}", w.fetch(port))

	w.set("vaulted/db", third)
	w.define("vaulted", definition(`, MODE = "exit"`))
	r = w.mcp("deploy", "vaulted", "--json")
	require.Equal(t, 1, r.code, r)
	require.Equal(t, "url:second%25value@db {secret:db}", w.fetchAgain(port), "what was there is put back, with its secret")
	require.False(t, w.status("vaulted").Dirty)
	w.define("vaulted", definition(""))
	result = w.deploy("vaulted")
	require.Equal(t, "url:third%0Avalue@db {secret:db}", w.fetch(result.Components[0].Ports["http"]))

	r = w.mcp("rollback", "vaulted", "--wait", "--json")
	require.Zero(t, r.code, r)
	r.decode(t, &result)
	require.Equal(t, "url:second%25value@db {secret:db}", w.fetch(result.Components[0].Ports["http"]), "a rollback brings the old version back")
	require.Contains(t, w.kept("vaulted"), "mcp-vaulted.db.v3", "the last releases keep theirs")

	// The values are nowhere but on the node.
	var recorded strings.Builder
	history := w.temporal().GetWorkflowHistory(t.Context(), result.WorkflowID, result.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(t, err)
		recorded.WriteString(event.String())
	}
	recorded.WriteString(w.sql("select string_agg(definition::text, ' ') from deployments where service = 'vaulted'"))
	recorded.WriteString(w.sql("select string_agg(v::text, ' ') from secret_versions v where service = 'vaulted'"))
	for _, value := range []string{first, second, "third", "p%40ss"} {
		require.NotContains(t, recorded.String(), value)
	}
	require.Contains(t, recorded.String(), "secret_versions")

	// What podman has lost, the next container brings again.
	for _, name := range w.kept("vaulted") {
		w.podman("secret", "rm", name)
	}
	r = w.mcp("restart", "vaulted", "--wait", "--json")
	require.Zero(t, r.code, r)
	r.decode(t, &result)
	require.Equal(t, "url:second%25value@db {secret:db}", w.fetch(result.Components[0].Ports["http"]))

	// So does what puts its release back: the deploy that finds what an earlier one has left,
	// and the Mend of one that could not be undone.
	lose := func() {
		w.podman("stop", "--time", "0", "vaulted-app")
		for _, name := range w.kept("vaulted") {
			w.podman("secret", "rm", name)
		}
	}
	port = w.deploy("vaulted").Components[0].Ports["http"]
	lose()
	w.podman("rename", "vaulted-app", "vaulted-app.prev")
	recovered := w.deploy("vaulted")
	require.Equal(t, plan.Keep, recovered.Components[0].Action)
	require.Equal(t, "url:third%0Avalue@db {secret:db}", w.fetchAgain(port))
	lose()
	mending, err := w.temporal().ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: workflows.MendID("vaulted", recovered.Deployment), TaskQueue: workflows.Queue},
		workflows.MendName, workflows.MendInput{
			Definition: servicedef.Service{Name: "vaulted"}, Deployment: recovered.Deployment, Run: recovered.RunID, Nodes: []string{"local"},
		})
	require.NoError(t, err)
	require.NoError(t, mending.Get(t.Context(), nil))
	require.Equal(t, "url:third%0Avalue@db {secret:db}", w.fetchAgain(port))

	r = w.mcp("undeploy", "vaulted", "-y")
	require.Zero(t, r.code, r)
	require.Empty(t, w.kept("vaulted"), "no value stays on a node")
	r = w.mcp("purge", "vaulted", "-y")
	require.Zero(t, r.code, r)
	require.Equal(t, "0", strings.TrimSpace(w.sql("select count(*) from secret_versions where service = 'vaulted'")))
}

// TestARotationRevokesWhenEverythingIsHealthy rotates a secret: with a value that the
// program does not survive, with a command to revoke the old one that fails, and again.
func TestARotationRevokesWhenEverythingIsHealthy(t *testing.T) {
	t.Parallel()
	w := sealing(t)
	revoked := filepath.Join(w.dir, "revoked")
	revoke := fmt.Sprintf("echo $MCP_SECRET $MCP_VERSION $MCP_FORMER_VERSION >> %s; test -e %s.ok", revoked, revoked)
	w.source("v1", "")
	w.define("rotated", w.service("rotated", "v1", "env = { VERSION = \"{secret:db}\", MODE = \"{secret:mode}\" }"))
	t.Cleanup(func() { w.mcp("undeploy", "rotated", "-y") })
	w.set("rotated/db", "one")
	w.set("rotated/mode", "serve")
	port := w.deploy("rotated").Components[0].Ports["http"]

	r := w.mcp("secret", "rotate", "rotated/mode", "--exec", "echo exit", "--revoke", revoke)
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, "rotated/mode is not rotated, and nothing is revoked")
	require.NoFileExists(t, revoked)
	require.Equal(t, "one", w.fetchAgain(port))
	require.Equal(t, workflows.Unchanged, w.deploy("rotated").Outcome, "the next deploy has the old value")

	r = w.mcp("secret", "rotate", "rotated/db", "--exec", "echo one", "--revoke", revoke)
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, "nothing is rotated, and nothing revoked")

	r = w.mcp("secret", "rotate", "rotated/db", "--exec", "echo two", "--revoke", revoke)
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, "the command of --revoke has failed")
	require.Equal(t, "two", w.fetch(w.routePort("rotated")))
	text, err := os.ReadFile(revoked)
	require.NoError(t, err)
	require.Equal(t, "rotated/db 2 1\n", string(text))

	r = w.mcp("secret", "rotate", "rotated/db")
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, "version 1 has not been revoked yet")

	require.NoError(t, os.WriteFile(revoked+".ok", nil, 0o600))
	r = w.mcp("secret", "rotate", "rotated/db", "--exec", "echo three", "--revoke", revoke, "--json")
	require.Zero(t, r.code, r)
	require.Contains(t, r.stderr, "no new value is taken")
	var done workflows.Rotation
	r.decode(t, &done)
	require.Equal(t, workflows.Rotation{
		Service: "rotated", Name: "db", Version: 2, Former: 1, Deployment: done.Deployment, Components: []string{"app"}, Healthy: true, Revoked: true,
	}, done)
	require.Equal(t, "two", w.fetch(w.routePort("rotated")))
	w.replays("rotated", workflows.RotationID("rotated", "db"))
	w.replays("rotated-deploy", workflows.DeployID("rotated"))

	r = w.mcp("rollback", "rotated", "--wait", "--json")
	require.Zero(t, r.code, r)
	require.Equal(t, "one", w.fetch(w.routePort("rotated")), "a rollback goes back across the rotation")
}

// TestSecretsFollowTheirNodes moves a component to another node, whose key changes later,
// and which is lost in the end, as is the recovery key.
func TestSecretsFollowTheirNodes(t *testing.T) {
	t.Parallel()
	w := sealing(t)
	signers := w.mcp("secret", "signer")
	require.Zero(t, signers.code, signers)
	text, err := os.ReadFile(w.config())
	require.NoError(t, err)
	platform, keys := shared.platform.Info(), filepath.Join(w.dir, "keys")
	w.configure(string(text), "[node]", fmt.Sprintf("socket = %q", platform.Podman), fmt.Sprintf("data = %q", filepath.Join(w.dir, "data")),
		fmt.Sprintf("policy = %q", filepath.Join(platform.Dir, "node-policy.toml")), fmt.Sprintf("keys = %q", keys), strings.TrimSpace(signers.stdout))
	node := w.builder + "-vault"
	worker := w.worker("--node", node, "--listen", "off")
	w.source("v1", "")
	on := func(name string) {
		w.define("moved", strings.Replace(w.service("moved", "v1", `env = { VERSION = "{secret:db}" }`), `node = "local"`, fmt.Sprintf("node = %q", name), 1))
	}
	refused := func(want string, args ...string) {
		t.Helper()
		r := w.mcp(args...)
		require.NotZero(t, r.code, r)
		require.Contains(t, r.stderr, want)
	}
	rekey := func(identity string) reply { return w.mcp("secret", "rekey", "moved", "--identity", identity) }
	resealed := func(identity, to string) {
		t.Helper()
		r := rekey(identity)
		require.Zero(t, r.code, r)
		require.Contains(t, r.stdout, "is now sealed to "+to)
	}
	recovery, pins := filepath.Join(w.dir, "recovery.key"), filepath.Join(w.dir, "mcp.keys.toml")
	r := w.mcp("secret", "keygen", recovery)
	require.Zero(t, r.code, r)

	on("local")
	w.set("moved/db", "first")
	on(node)
	refused("moved/db on node "+node+", to whose key it is not sealed", "deploy", "moved")
	refused("mcp secret rekey moved --identity", "plan", "moved")
	resealed(recovery, node)
	t.Cleanup(func() { w.mcp("undeploy", "moved", "-y"); w.mcp("node", "remove", node, "-y") })
	require.Equal(t, "first", w.fetch(w.deploy("moved").Components[0].Ports["http"]))
	r = w.set("moved/db", "second", "--deploy")
	require.Contains(t, r.stderr, "moved/db: version 2, sealed to "+node)
	require.Equal(t, "second", w.fetch(w.routePort("moved")))

	// The node is set up again, and has another key.
	worker.signal(syscall.SIGTERM)
	require.Zero(t, worker.code(time.Minute))
	require.NoError(t, os.Remove(filepath.Join(keys, "node-"+node)))
	worker = w.worker("--node", node, "--listen", "off")
	refused("node "+node+" announces another key than the pinned one", "secret", "set", "moved/db", "--file", filepath.Join(w.dir, "value"))
	require.NotZero(t, rekey(recovery).code)
	refused("moved/db on node "+node+", to whose key it is not sealed", "deploy", "moved", "--force")
	require.Equal(t, "second", w.fetchAgain(w.routePort("moved")), "what runs goes on")
	unpin := func(name string) {
		t.Helper()
		text, err := os.ReadFile(pins)
		require.NoError(t, err)
		lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.HasPrefix(line, name+" = ") })
		require.NoError(t, os.WriteFile(pins, []byte(strings.Join(lines, "\n")), 0o600))
	}
	unpin(node)
	resealed(recovery, node)
	r = w.mcp("deploy", "moved", "--force", "--wait")
	require.Zero(t, r.code, r)
	require.Equal(t, "second", w.fetch(w.routePort("moved")))

	// The node is lost: the recovery key opens what was sealed to it.
	worker.signal(syscall.SIGKILL)
	worker.code(time.Minute)
	on("local")
	refused("moved/db on node local, to whose key it is not sealed", "plan", "moved")
	resealed(recovery, "local")
	r = w.mcp("plan", "moved")
	require.Zero(t, r.code, r)

	// The recovery key is lost: another one opens nothing that is there already.
	unpin("recovery")
	next := filepath.Join(w.dir, "next.key")
	r = w.mcp("secret", "keygen", next)
	require.Zero(t, r.code, r)
	r = rekey(next)
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, "is not sealed to the key")
	require.Contains(t, r.stderr, "or set the value again")
	require.Contains(t, w.set("moved/db", "second").stdout, "has this value already, and is now sealed to local, recovery key recovery")
	r = rekey(next)
	require.Zero(t, r.code, r)
	require.Contains(t, r.stdout, "version 2 is sealed to them already")
	require.Contains(t, r.stderr, "moved/db v1 stays as it is")
}
