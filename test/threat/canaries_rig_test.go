package threat

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/internal/signing"
)

// canaryRig is a platform with a namespace of Temporal, a database, a control worker, a
// node and a builder of its own, each a process. All of its secrets are canaries.
type canaryRig struct {
	*canaries
	t           *testing.T
	platform    *dev.Platform
	name        string // of namespace, database, node and builder
	dir, inputs string // inputs hold the values
	stdin       string // of the next command
	registry    string // the address of an image registry that requires a password
	webhook     string
	temporal    client.Client // decrypts
	plain       client.Client // does not
	profile     string        // the file of Temporal's profile
	trusted     string        // the line with the signers that the node trusts

	alerted chan struct{}
	once    sync.Once
	pending bytes.Buffer // what was heard of activities
}

func newCanaryRig(t *testing.T) *canaryRig {
	t.Helper()
	dir := t.TempDir()
	r := &canaryRig{canaries: newCanaries(), t: t, name: "canary", dir: dir, inputs: filepath.Join(dir, "inputs"), alerted: make(chan struct{})}
	for _, name := range []string{"inputs/src", "services", "home", "tmp", "data", "logs"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	// Postgres runs as another user.
	place, err := os.MkdirTemp("", "mcp-canaries-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(place, 0o755))
	platformDir := filepath.Join(place, "platform")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	r.platform, err = dev.Up(ctx, dev.Options{
		Unsafe: true,
		Dir:    platformDir, Workspace: dir, Services: dir, Programs: "../../bin", Version: "test", NoEdge: true, Logger: quiet, SDKLogger: quiet,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		r.platform.Down()
		_, err := dev.Destroy(context.Background(), platformDir)
		require.NoError(t, errors.Join(err, os.RemoveAll(place)))
	})
	r.guardRegistry()
	hook := httptest.NewServer(http.HandlerFunc(r.hook))
	t.Cleanup(hook.Close)
	r.webhook = hook.URL + "/services/" + r.value("webhook token") + "?token=" + r.value("webhook token")
	r.makeKeys()
	r.makeNamespace(quiet)
	r.sql("create database canary")
	r.sql("create role canary superuser login password '" + r.value("database password") + "'")
	r.buildApp()
	key, _, err := signing.Generate([]byte(r.value("signing passphrase")))
	require.NoError(t, err)
	r.file("cosign.key", string(key))
	return r
}

// buildApp compiles the program of the services, and writes how its image is built.
func (r *canaryRig) buildApp() {
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(r.inputs, "src", "app"), "../e2e/testdata/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(r.t, err, string(out))
	for name, code := range map[string]int{"Containerfile": 0, "Containerfile.broken": 3} {
		r.file("src/"+name, fmt.Sprintf("FROM scratch\nCOPY app /app\nRUN --mount=type=secret,id=npm [\"/app\", \"say\", \"installed\", \"%d\"]\nCMD [\"/app\"]\n", code))
	}
	sum := sha256.Sum256([]byte(r.value("managed build")))
	r.file("src/Containerfile.sealed", fmt.Sprintf("FROM scratch\nCOPY app /app\nRUN --mount=type=secret,id=token [\"/app\", \"hash\", \"/run/secrets/token\", \"%x\"]\n"+
		"RUN --mount=type=secret,id=npm [\"/app\", \"say\", \"installed\", \"0\"]\nCMD [\"/app\"]\n", sum))
}

// define writes a service whose step exits with a code.
func (r *canaryRig) define(name, containerfile string, code int) {
	own := managedBy(name)
	text := fmt.Sprintf(`name = %[1]q
node = %[2]q
path = "src"

[build.images.%[1]s]
containerfile = %[3]q
secrets = { npm = { file = %[4]q } }

[[components]]
name = "app"
image = "%[5]s/%[1]s:v1"
secrets = [%[7]s]
secret_env = { HAND = "hand-env"%[8]s }
%[9]s

[components.health]
start_period = "10s"

[[components.routes]]
name = "http"
port = 443
mode = "l7"

[[components]]
name = "nightly"
image = "%[5]s/%[1]s:v1"
cmd = ["/app", "say", "ran", "0"]
schedule = "0 3 1 1 *"
secret_env = { JOB = "hand-job"%[10]s }

[[steps]]
name = "migrate"
component = "app"
cmd = ["/app", "say", "migrated", "%[6]d"]
secret_env = { STEP = "hand-step"%[11]s }
`, name, r.name, containerfile, r.input("build secret"), r.registry, code, own.files, own.variables, own.env, own.job, own.step)
	text = strings.ReplaceAll(text, "PLANTED", r.value(planted))
	if name == "canary" { // the others have no secrets of their own
		text = strings.Replace(text, "secrets = { npm = { file", `secrets = { token = { secret = "managed-build" }, npm = { file`, 1)
	}
	require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, "services", name+".toml"), []byte(text), 0o600))
}

// guardRegistry puts a password before the platform's image registry.
func (r *canaryRig) guardRegistry() {
	pass := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: r.platform.Info().ImageRegistry})
		p.Out.Host = p.In.Host // the address of the rest of an upload
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if user, password, _ := q.BasicAuth(); user != "canary" || password != r.value("registry password") {
			w.Header().Set("WWW-Authenticate", `Basic realm="images"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		pass.ServeHTTP(w, q)
	}))
	r.t.Cleanup(server.Close)
	r.registry = strings.TrimPrefix(server.URL, "http://")
}

// logins is a file of podman login.
func (r *canaryRig) logins(password string) string {
	return fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, r.registry, base64.StdEncoding.EncodeToString([]byte("canary:"+password)))
}

func (r *canaryRig) makeNamespace(log *slog.Logger) {
	options := client.Options{HostPort: r.platform.Info().Temporal(), Namespace: r.name, Logger: sdklog.NewStructuredLogger(log)}
	namespaces, err := client.NewNamespaceClient(options)
	require.NoError(r.t, err)
	defer namespaces.Close()
	require.NoError(r.t, namespaces.Register(r.t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: r.name, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	}))
	r.plain, err = client.Dial(options)
	require.NoError(r.t, err)
	r.t.Cleanup(r.plain.Close)
	keys, err := keyring.Open(filepath.Join(r.inputs, "encryption.keys"))
	require.NoError(r.t, err)
	codec.New(keys, "the canaries'").Install(&options)
	r.temporal, err = client.Dial(options)
	require.NoError(r.t, err)
	r.t.Cleanup(r.temporal.Close)
	require.Eventually(r.t, func() bool {
		_, err := r.temporal.DescribeWorkflowExecution(r.t.Context(), "none", "")
		var missing *serviceerror.NotFound // of the workflow, not of its namespace
		return errors.As(err, &missing)
	}, time.Minute, 200*time.Millisecond)
}

// file writes a file that holds a value.
func (r *canaryRig) file(name, text string) string {
	path := filepath.Join(r.inputs, name)
	require.NoError(r.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// input is a file that holds the value of a channel alone.
func (r *canaryRig) input(channel string) string {
	return r.file(strings.ReplaceAll(channel, " ", "-"), r.value(channel))
}

// configure writes mcp.toml; more has a line for a section, which replaces that of the same
// key.
func (r *canaryRig) configure(more map[string]string) {
	sections := []struct {
		name  string
		lines []string
	}{
		{"", []string{fmt.Sprintf("services = %q", filepath.Join(r.dir, "services"))}},
		{"temporal", []string{
			`profile = "canary"`, fmt.Sprintf("namespace = %q", r.name),
			fmt.Sprintf("encryption_key_file = %q", filepath.Join(r.inputs, "encryption.keys")),
		}},
		{"postgres", []string{fmt.Sprintf("url_file = %q", r.file("postgres.url", r.databaseURL()))}},
		{"monitor", []string{`interval = "1s"`}},
		{"alerts", []string{fmt.Sprintf("webhook = %q", r.webhook), fmt.Sprintf("secret_file = %q", r.input("webhook secret"))}},
		{"node", []string{
			fmt.Sprintf("socket = %q", r.platform.Info().Podman), fmt.Sprintf("data = %q", filepath.Join(r.dir, "data")),
			fmt.Sprintf("logs = %q", filepath.Join(r.dir, "logs")), fmt.Sprintf("keys = %q", filepath.Join(r.dir, "keys")),
			fmt.Sprintf("policy = %q", r.file("node-policy.toml", fmt.Sprintf("builds.secret_files = [%q]\n", r.inputs))), r.trusted,
		}},
		{"secrets", []string{fmt.Sprintf("signing_key = %q", filepath.Join(r.inputs, "signing.key")), fmt.Sprintf("keys = %q", filepath.Join(r.dir, "mcp.keys.toml"))}},
		{"image_registry", []string{fmt.Sprintf("insecure = [%q]", r.registry), fmt.Sprintf("auth_file = %q", r.file("auth.json", r.logins(r.value("registry password"))))}},
		{"build", []string{
			fmt.Sprintf("workspace = %q", r.inputs), fmt.Sprintf("builder = %q", r.name), fmt.Sprintf("socket = %q", r.platform.Info().Podman),
			fmt.Sprintf("logs = %q", filepath.Join(r.dir, "logs")), fmt.Sprintf("signing_key_file = %q", filepath.Join(r.inputs, "cosign.key")),
			fmt.Sprintf("signing_passphrase_file = %q", r.input("signing passphrase")),
		}},
	}
	var text strings.Builder
	for _, s := range sections {
		if s.name != "" {
			fmt.Fprintf(&text, "[%s]\n", s.name)
		}
		added := more[s.name]
		key, _, _ := strings.Cut(added, " ")
		for _, line := range s.lines {
			// Of the keys for the address of the registry one may be set.
			if added == "" || !strings.HasPrefix(line, key+" ") && (s.name != "postgres") {
				text.WriteString(line + "\n")
			}
		}
		text.WriteString(added + "\n")
	}
	r.file("mcp.toml", text.String())
}

// databaseURL is the address of the registry, with the canary as its password.
func (r *canaryRig) databaseURL() string {
	address, err := url.Parse(r.platformURL())
	require.NoError(r.t, err)
	address.User, address.Path = url.UserPassword("canary", r.value("database password")), "/canary"
	return address.String()
}

func (r *canaryRig) platformURL() string {
	text, err := os.ReadFile(filepath.Join(r.platform.Info().Dir, "postgres.url"))
	require.NoError(r.t, err)
	return strings.TrimSpace(string(text))
}

// sql runs statements from the standard input of psql.
func (r *canaryRig) sql(statements string) {
	r.t.Helper()
	address := r.platformURL()
	if strings.Contains(statements, " table ") {
		address = strings.Replace(address, "/mcp?", "/canary?", 1)
	}
	cmd := exec.Command("psql", address, "-X", "-q", "-v", "ON_ERROR_STOP=1")
	cmd.Stdin = strings.NewReader(statements)
	out, err := cmd.CombinedOutput()
	require.NoError(r.t, err, string(out))
}

// podman runs podman's own command line. What it prints is not searched.
func (r *canaryRig) podman(args ...string) string {
	r.t.Helper()
	out, err := exec.Command("podman", append([]string{"--url", r.platform.Info().Podman}, args...)...).CombinedOutput()
	require.NoError(r.t, err, "podman %s: %s", strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

// command is mcp as a process of its own.
func (r *canaryRig) command(args ...string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(r.t, err)
	cmd := exec.Command(self, append([]string{"--config", filepath.Join(r.inputs, "mcp.toml")}, args...)...)
	cmd.Dir = r.dir
	cmd.Env = []string{
		mcpVariable + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(r.dir, "home"), "TMPDIR=" + filepath.Join(r.dir, "tmp"), "USER=ann",
		"TEMPORAL_CONFIG_FILE=" + r.profile,
	}
	return cmd
}

// mcp runs a command, and searches what it prints. One that waits for what is away has said
// so by then.
func (r *canaryRig) mcp(args ...string) string { return r.within(longestCommand, args...) }

// within is mcp of a command that may take some time.
func (r *canaryRig) within(longest time.Duration, args ...string) string {
	cmd := r.command(args...)
	timer := time.AfterFunc(longest, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	output, _ := cmd.CombinedOutput() // its exit code says nothing here
	r.look("output of commands", strings.Join(args, " "), output)
	return string(output)
}

// longestCommand bounds a command that may fail.
const longestCommand = 20 * time.Second

// must is mcp of a command that succeeds; it returns what is printed on stdout.
func (r *canaryRig) must(args ...string) string {
	r.t.Helper()
	cmd := r.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(r.stdin), &stdout, &stderr
	r.stdin = ""
	err := cmd.Run()
	r.look("output of commands", strings.Join(args, " "), append(stdout.Bytes(), stderr.Bytes()...))
	require.NoError(r.t, err, "mcp %s\n%s%s", strings.Join(args, " "), &stdout, &stderr)
	return stdout.String()
}

// worker starts a worker, and waits until it is ready. What it prints is a file.
func (r *canaryRig) worker(flags ...string) {
	r.t.Helper()
	log := filepath.Join(r.dir, "worker"+flags[0]+".log")
	file, err := os.Create(log)
	require.NoError(r.t, err)
	cmd := r.command(append([]string{"worker", "--listen", "off", "--debug"}, flags...)...)
	cmd.Stdout, cmd.Stderr = file, file
	require.NoError(r.t, cmd.Start())
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if r.t.Failed() {
			r.t.Logf("%s\n%s", log, read(log))
		}
	})
	require.Eventually(r.t, func() bool { return bytes.Contains(read(log), []byte("worker ready")) }, time.Minute, 50*time.Millisecond)
}

// has reports whether a value was found in a place.
func (r *canaryRig) has(place, channel string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, seen := r.found[place][channel]
	return seen
}
