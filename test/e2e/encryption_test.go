package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
)

// plainly is a client of w's namespace that decrypts nothing: it sees what rests there.
func (w *world) plainly() client.Client {
	w.t.Helper()
	c, err := client.Dial(client.Options{HostPort: shared.platform.Info().Temporal(), Namespace: w.namespace, Logger: sdklog.NewStructuredLogger(quiet)})
	require.NoError(w.t, err)
	w.t.Cleanup(c.Close)
	return c
}

// rests is a run as it rests in Temporal: its history and its description.
func (w *world) rests(id, run string) string {
	w.t.Helper()
	var text strings.Builder
	c := w.plainly()
	events := c.GetWorkflowHistory(w.t.Context(), id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(w.t, err)
		text.WriteString(prototext.Format(event))
	}
	described, err := c.DescribeWorkflowExecution(w.t.Context(), id, run)
	require.NoError(w.t, err)
	return text.String() + prototext.Format(described)
}

// dumped is what pg_dump writes of w's registry.
func (w *world) dumped() string {
	w.t.Helper()
	program, err := exec.LookPath("pg_dump")
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
		require.NotEmpty(w.t, found)
		program = found[len(found)-1]
	}
	text, err := exec.Command(program, "--dbname", w.databaseURL(), "--inserts").Output()
	require.NoError(w.t, err)
	return string(text)
}

// TestWhatRestsIsEncrypted deploys a service with a canary in its environment, through
// workers that are processes, looks for the canary in what rests, rolls the key while the
// workers run, and starts others that lack it.
func TestWhatRestsIsEncrypted(t *testing.T) {
	t.Parallel()
	const canary = "canary-sings-in-the-mine"
	w := newWorld(t)
	w.alone()
	keys := filepath.Join(w.dir, "encryption.keys")
	first, _, err := keyring.Add(keys, false)
	require.NoError(t, err)
	config, err := os.ReadFile(w.config())
	require.NoError(t, err)
	own := strings.ReplaceAll(string(config), shared.platform.Info().EncryptionKeyFile, keys)
	require.NoError(t, os.WriteFile(w.config(), []byte(own), 0o600))
	control := w.worker("--control")
	w.worker("--node", w.node)
	w.worker("--builder", w.builder, "--workspace", w.workspace)

	w.source("v1", "")
	w.define("sealed", w.service("sealed", "v1", fmt.Sprintf("env = { TOKEN = %q }", canary)))
	result := w.deploy("sealed")
	text := w.rests(result.WorkflowID, result.RunID)
	require.NotContains(t, text, canary)
	require.Contains(t, text, first.ID)
	require.Contains(t, text, "McpService", "search attributes stay readable")
	require.NotContains(t, w.dumped(), canary)

	// The processes that run take the new key over.
	second, _, err := keyring.Add(keys, false)
	require.NoError(t, err)
	_, err = keyring.Promote(keys, second.ID)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		result = w.deploy("sealed")
		return strings.Contains(w.rests(result.WorkflowID, result.RunID), second.ID)
	}, time.Minute, time.Second)
	r := w.mcp("migrate", "--json")
	require.Zero(t, r.code, r)
	require.Contains(t, r.stdout, second.ID)
	require.Contains(t, w.mcp("doctor").stdout, "key "+second.ID+" of "+keys+" encrypts")

	// Who lacks the key says so.
	other := filepath.Join(t.TempDir(), "encryption.keys")
	third, _, err := keyring.Add(other, false)
	require.NoError(t, err)
	for name, c := range map[string]struct{ file, wants, node string }{
		"without": {"", "encrypted with key " + second.ID + ", and this process has no encryption keys", "encrypted with key "},
		"another": {other, "is encrypted with key " + third.ID, "encrypted with key "},
	} {
		elsewhere := filepath.Join(t.TempDir(), name+".toml")
		text := strings.ReplaceAll(own, fmt.Sprintf("encryption_key_file = %q", keys), "")
		if c.file != "" {
			text = strings.ReplaceAll(own, keys, c.file)
		}
		require.NoError(t, os.WriteFile(elsewhere, []byte(text), 0o600))
		began := time.Now()
		r := w.mcp("status", "--config", elsewhere)
		require.NotZero(t, r.code, r)
		require.Contains(t, r.stderr, c.wants)
		require.Less(t, time.Since(began), 20*time.Second)
		r = w.mcp("doctor", "--config", elsewhere)
		require.Contains(t, r.stdout, c.node)
		for _, role := range [][]string{{"--node", w.node}, {"--control"}, {"--builder", w.builder, "--workspace", w.workspace}} {
			refused := w.process(append([]string{"worker", "--config", elsewhere, "--listen", "off"}, role...)...)
			require.Equal(t, 1, refused.code(time.Minute), "%s %v: %s", name, role, refused.stderr.String())
			require.Contains(t, refused.stderr.String(), c.node, "%v", role)
		}
	}

	// Every copy of the keys is lost. What they have encrypted is named, and forgotten.
	port := w.routePort("sealed")
	control.signal(syscall.SIGTERM)
	require.Zero(t, control.code(time.Minute))
	require.NoError(t, os.Remove(keys))
	last, _, err := keyring.Add(keys, false)
	require.NoError(t, err)
	refused := w.process("worker", "--control", "--listen", "off")
	require.Equal(t, 1, refused.code(time.Minute), refused.stderr.String())
	require.Contains(t, refused.stderr.String(), "encrypted with key ")
	r = w.mcp("key", "forget", last.ID, "-y")
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, "key "+last.ID+" is in "+keys+": what is encrypted with it can be read")
	r = w.mcp("key", "forget", "20250301-q2mx4c", "-y")
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, second.ID)
	r = w.mcp("key", "forget", second.ID)
	require.Equal(t, 2, r.code, r)
	require.Contains(t, r.stderr, "sealed: the definition of release 1")
	for _, key := range []keyring.Key{first, second} {
		r = w.mcp("key", "forget", key.ID, "-y")
		require.Zero(t, r.code, r)
	}
	require.Contains(t, r.stderr, "deploy again: mcp deploy sealed")
	w.worker("--control", "--listen", "off")
	r = w.mcp("restart", "sealed")
	require.NotZero(t, r.code, r)
	require.Contains(t, r.stderr, "the definition of its release 1 is lost with encryption key "+second.ID)
	require.Equal(t, "v1", w.fetchAgain(port), "what runs goes on")
	result = w.deploy("sealed")
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, plan.Keep, result.Components[0].Action)
	require.Equal(t, "v1", w.fetchAgain(port))
	r = w.mcp("audit", "--json")
	require.Contains(t, r.stdout, "key forget")
	require.Zero(t, w.mcp("undeploy", "sealed", "-y").code)
}
