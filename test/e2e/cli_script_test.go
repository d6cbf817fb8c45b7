package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/test/edges"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

var update = flag.Bool("update", false, "update the output that scripts expect")

// TestScripts runs what an operator types. In testdata/script "mcp ARGUMENTS" runs mcp,
// "! mcp" one that must fail, "code N" checks the exit code, "completes PATTERN ARGUMENTS"
// checks a completion, and "edge" is one in memory: see scriptEdge. Words that differ from
// run to run are replaced in the output: see settled.
func TestScripts(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(bin, "mcp")))
	t.Cleanup(func() { requireAudited(t, &changes) })
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup:               func(env *testscript.Env) error { return setUpScript(env, bin) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mcp":       scriptMCP,
			"completes": scriptCompletes,
			"code":      scriptCode,
			"edge":      scriptEdge,
		},
	})
}

// setUpScript prepares a script as newWorld does a test. In its files
// REGISTRY stands for the image registry.
func setUpScript(env *testscript.Env, bin string) error {
	info, work := shared.platform.Info(), env.WorkDir
	files, err := filepath.Glob(filepath.Join(work, "services", "*.toml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte("REGISTRY"), []byte(info.ImageRegistry)), 0o600); err != nil {
			return err
		}
	}
	source := filepath.Join(work, "workspace", "src")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	if err := copyApp(source); err != nil {
		return err
	}
	config := fmt.Sprintf("services = %q\n[temporal]\naddress = %q\nencryption_key_file = %q\n[build]\nworkspace = %q\nbuilder = %q\nsocket = %q\nlogs = %q\n[image_registry]\ninsecure = [%q]\n[secrets]\nsigning_key = %q\n",
		filepath.Join(work, "services"), info.Temporal(), info.EncryptionKeyFile, filepath.Join(work, "workspace"), fmt.Sprintf("e2e-%d", worlds.Add(1)),
		info.Podman, filepath.Join(work, "logs"), info.ImageRegistry, filepath.Join(work, "signing.key"))
	for name, content := range map[string][]byte{
		filepath.Join(source, "Containerfile"): []byte("FROM scratch\nCOPY app /app\nCMD [\"/app\"]\n"),
		filepath.Join(work, "mcp.toml"):        []byte(config),
	} {
		if err := os.WriteFile(name, content, 0o755); err != nil {
			return err
		}
	}
	env.Defer(func() {
		_ = removeContainers(func(service string) bool {
			_, err := os.Stat(filepath.Join(work, "services", service+".toml"))
			return err == nil
		})
	})
	env.Values[exitCode{}] = new(int)
	env.Values[scriptEdges{}] = map[string]*edges.Edge{}
	env.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	env.Setenv("MCP_CONFIG", filepath.Join(work, "mcp.toml"))
	env.Setenv("REGISTRY_AUTH_FILE", os.Getenv("REGISTRY_AUTH_FILE"))
	env.Setenv("PLATFORM", info.Dir)
	env.Setenv("REGISTRY", info.ImageRegistry)
	env.Setenv(mcpVariable, "1")
	return nil
}

// exitCode is the key of the exit code of a script's last mcp.
type exitCode struct{}

// scriptMCP runs mcp and keeps its exit code and its output.
func scriptMCP(ts *testscript.TestScript, neg bool, args []string) {
	code, stdout, stderr := runMCP(ts, args)
	*ts.Value(exitCode{}).(*int) = code
	ts.Check(validate(args, stdout))
	_, _ = ts.Stdout().Write([]byte(settled(ts, stdout)))
	_, _ = ts.Stderr().Write([]byte(settled(ts, stderr)))
	if neg == (code == 0) {
		ts.Fatalf("mcp exited %d\n%s%s", code, stdout, stderr)
	}
	if code == 0 && ts.Getenv("TEMPORAL_ADDRESS") == "" {
		changes.Store(verbTyped(args), true)
	}
}

// runMCP runs mcp as a process of its own.
func runMCP(ts *testscript.TestScript, args []string) (code int, stdout, stderr string) {
	cmd := exec.Command("mcp", args...)
	cmd.Path = ts.Getenv("PATH")[:strings.Index(ts.Getenv("PATH"), ":")] + "/mcp"
	cmd.Err, cmd.Dir = nil, ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "MCP_CONFIG", "MCP_SERVICES", "TEMPORAL_ADDRESS", "MCP_POSTGRES_URL_FILE", "REGISTRY_AUTH_FILE", "EDITOR", mcpVariable} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	if exited := new(exec.ExitError); err != nil && !errors.As(err, &exited) {
		ts.Fatalf("run mcp: %v", err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), complaints.String()
}

// scriptCompletes waits, as world.completes does, until a line of what completes the
// arguments matches the pattern.
func scriptCompletes(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile("(?m)" + args[0])
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		code, stdout, stderr := runMCP(ts, append([]string{"__complete"}, args[1:]...))
		if code == 0 && want.MatchString(settled(ts, stdout)) {
			_, _ = ts.Stdout().Write([]byte(settled(ts, stdout)))
			_, _ = ts.Stderr().Write([]byte(settled(ts, stderr)))
			return
		}
		if time.Since(began) > time.Minute {
			ts.Fatalf("no line matches %s: mcp exited %d\n%s%s", want, code, stdout, stderr)
		}
	}
}

// changes are the verbs that scripts have at work.
var changes sync.Map

// verbTyped is the verb of a command line; "" for one that only shows what it would do.
func verbTyped(args []string) string {
	if slices.Contains(args, "--dry-run") || slices.Contains(args, "--help") {
		return ""
	}
	cmd, _, err := (&cli.App{Stdout: io.Discard, Stderr: io.Discard, Getenv: os.Getenv}).Root().Find(args)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(cmd.CommandPath(), "mcp ")
}

// requireAudited requires that each verb at work that changes something is in the audit,
// with this user's name and an outcome.
func requireAudited(t *testing.T, changes *sync.Map) {
	t.Helper()
	o, err := shared.platform.Info().Connection()
	require.NoError(t, err)
	o.Logger = sdklog.NewStructuredLogger(quiet)
	c, err := client.Dial(o)
	require.NoError(t, err)
	defer c.Close()
	ctx := context.WithoutCancel(t.Context()) // a test's ends before its clean-up
	who, err := user.Current()
	require.NoError(t, err)
	audited := map[string]bool{}
	for before := int64(0); ; {
		run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: workflows.Queue}, reads.AuditName,
			reads.AuditInput{AuditQuery: fleet.AuditQuery{Before: before}})
		require.NoError(t, err)
		var page []fleet.AuditRecord
		require.NoError(t, run.Get(ctx, &page))
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			if r.Who == who.Username && r.Claimed && r.Outcome != "" {
				audited[r.Verb] = true
			}
		}
		before = page[0].ID
	}
	for verb, recorded := range cli.Audits() {
		if _, ran := changes.Load(verb); ran {
			require.True(t, audited[recorded], "mcp %s is not in the audit", verb)
		}
	}
}

// scriptCode checks the exit code of the last mcp.
func scriptCode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if have := *ts.Value(exitCode{}).(*int); have != want {
		ts.Fatalf("mcp exited %d, not %d", have, want)
	}
}

// changing matches what differs from run to run, with the word for it. Host ports of
// routes are five digits long.
var changing = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "sha256:DIGEST"},
	{regexp.MustCompile(`ed25519:[A-Za-z0-9_-]{43}`), "ed25519:KEY"},
	{regexp.MustCompile(`\b([a-z2-7]{4}-){7}[a-z2-7]{4}\b`), "KEY"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?`), "TIME"},
	{regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+(\.\d+)?(ms|µs|s)\b`), "DURATION"},
	{regexp.MustCompile(`\b[1-6]\d{4}\b`), "PORT"},
	{regexp.MustCompile(`(_ms|_seconds)": \d+`), `$1": NUMBER`},
	{regexp.MustCompile(`(\S)   +`), "$1  "}, // the columns of a table
	{regexp.MustCompile(`(?m) +$`), ""},
}

// settled is text without what differs from run to run.
func settled(ts *testscript.TestScript, text string) string {
	info := shared.platform.Info()
	text = strings.NewReplacer(info.ImageRegistry, "REGISTRY", info.Temporal(), "TEMPORAL", ts.MkAbs("."), "$WORK").Replace(text)
	for _, c := range changing {
		text = c.pattern.ReplaceAllString(text, c.word)
	}
	if host, err := os.Hostname(); err == nil {
		text = word(host).ReplaceAllString(text, "HOST")
	}
	if who, err := user.Current(); err == nil {
		text = word(who.Username).ReplaceAllString(text, "USER")
	}
	return text
}

// word matches a name as a whole word: a key or a digest may contain a short one.
func word(name string) *regexp.Regexp {
	return regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`)
}
