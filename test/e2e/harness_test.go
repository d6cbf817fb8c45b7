// Package e2e deploys real services on a real local platform, through the
// command line, and checks the state of podman, Temporal and the service.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/test/printed"
	"github.com/metacircular/mcp/workflows"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// shared is used by all tests of this package.
var shared struct {
	platform *dev.Platform
	app      string // the test service's program
}

// sideBySide is how many parallel tests run at once, whatever the machine: they wait
// more than they work. More of them, beside the other packages of `make test`, keep the
// workers of two processors from answering within their timeouts.
const sideBySide = "4"

func TestMain(m *testing.M) {
	if os.Getenv(mcpVariable) != "" {
		os.Exit(cli.Main(nil))
	}
	flag.Parse()
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		panic(err)
	}
	code, err := runOnPlatform(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// runOnPlatform runs the tests on a platform of their own.
func runOnPlatform(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "mcp-e2e-")
	if err != nil {
		return 1, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // Postgres runs as another user
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	shared.app = filepath.Join(dir, "app")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", shared.app, "./testdata/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the test service: %w\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	// Podman login writes it; every push, pull and lookup reads it.
	if err := os.Setenv("REGISTRY_AUTH_FILE", filepath.Join(dir, "auth.json")); err != nil {
		return 1, err
	}
	platformDir := filepath.Join(dir, "platform")
	// Tests mount directories of their own.
	if err := os.MkdirAll(platformDir, 0o755); err != nil {
		return 1, err
	}
	rules := fmt.Appendf(nil, "mounts.roots = [%q]\nprivileges.devices = [\"nvidia.com/gpu=all\"]\n", os.TempDir())
	if err := os.WriteFile(filepath.Join(platformDir, "node-policy.toml"), rules, 0o644); err != nil {
		return 1, err
	}
	shared.platform, err = dev.Up(ctx, dev.Options{
		Unsafe: true,
		Dir:    platformDir, Workspace: dir, Services: dir, Programs: "../../bin", Version: "test", NoEdge: true, Unfiltered: true,
		Logger: quiet, SDKLogger: quiet,
	})
	if err != nil {
		return 1, err
	}
	defer func() {
		shared.platform.Down()
		if _, destroyErr := dev.Destroy(context.Background(), platformDir); err == nil {
			err = destroyErr
		}
	}()
	return m.Run(), nil
}

// worlds counts them: each is a builder of its own.
var worlds atomic.Int32

// world is one test's services directory, workspace and configuration. Its
// command line is the builder itself.
type world struct {
	t                                 *testing.T
	dir, services, workspace, builder string
	registry                          string // the image registry's address, in the names of images
	namespace, node                   string
	database                          string    // of its registry; "" for the platform's
	defined                           *sync.Map // the services that it defines
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, dir: dir, services: filepath.Join(dir, "services"), workspace: filepath.Join(dir, "workspace"), defined: new(sync.Map)}
	w.builder = fmt.Sprintf("e2e-%d", worlds.Add(1))
	w.registry, w.namespace, w.node = shared.platform.Info().ImageRegistry, client.DefaultNamespace, dev.Local
	require.NoError(t, os.MkdirAll(w.services, 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(w.workspace, "src"), 0o755))
	w.buildOn(shared.platform.Info().Podman)
	t.Cleanup(w.clear)
	return w
}

// clear removes the containers of the services that w has defined.
func (w *world) clear() {
	err := removeContainers(func(service string) bool { _, defined := w.defined.Load(service); return defined })
	if err != nil {
		w.t.Log("containers are left:", err)
	}
}

// removeContainers removes the containers of services, when the test that has them is over:
// all tests have one engine, and each of its lists reads every container.
func removeContainers(of func(service string) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	engine := podman.New(shared.platform.Info().Podman)
	left, err := engine.Summaries(ctx, runtime.Selection{Labels: map[string]string{runtime.LabelService: ""}})
	for _, c := range left {
		if err == nil && of(c.Labels[runtime.LabelService]) {
			err = engine.Remove(ctx, c.ID)
		}
	}
	return err
}

// encryptionKeys is the line of [temporal] with the platform's keys.
func encryptionKeys() string {
	return fmt.Sprintf("encryption_key_file = %q", shared.platform.Info().EncryptionKeyFile)
}

// buildOn writes an mcp.toml for a command line that builds on that podman.
func (w *world) buildOn(socket string) {
	w.t.Helper()
	w.configure(
		fmt.Sprintf("services = %q", w.services),
		"[temporal]", fmt.Sprintf("address = %q", shared.platform.Info().Temporal()), encryptionKeys(),
		"[build]", fmt.Sprintf("workspace = %q", w.workspace), fmt.Sprintf("builder = %q", w.builder),
		fmt.Sprintf("socket = %q", socket), fmt.Sprintf("logs = %q", filepath.Join(w.dir, "logs")),
		"[image_registry]", fmt.Sprintf("insecure = [%q]", shared.platform.Info().ImageRegistry),
	)
}

// configure writes mcp.toml.
func (w *world) configure(lines ...string) {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(w.config(), []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

func (w *world) cache() string { return filepath.Join(w.dir, "cache") }

func (w *world) config() string { return filepath.Join(w.dir, "mcp.toml") }

// owners are the tests by the services that they define: they share a registry.
var owners sync.Map

// define writes a service definition.
func (w *world) define(name, text string) {
	w.t.Helper()
	test, _, _ := strings.Cut(w.t.Name(), "/")
	owner, _ := owners.LoadOrStore(name, test)
	require.Equal(w.t, owner, test, "both define service %s", name)
	w.defined.Store(name, nil)
	require.NoError(w.t, os.WriteFile(filepath.Join(w.services, name+".toml"), []byte(text), 0o600))
}

// image is the reference of a service's image.
func (w *world) image(name, version string) string {
	return w.registry + "/" + name + ":" + version
}

// service is a definition of one component with one route, and more lines for
// the component.
func (w *world) service(name, version, more string) string {
	return w.startingWithin("10s", name, version, more)
}

// startingWithin is such a definition with another start period.
func (w *world) startingWithin(period, name, version, more string) string {
	return fmt.Sprintf(`name = %q
node = %q
path = "src"

[build.images]
%s = "Containerfile"

[[components]]
name = "app"
image = %q
%s

[components.health]
start_period = %q
interval = "500ms"
retries = 1

[[components.routes]]
name = "http"
port = 443
mode = "l7"
`, name, w.node, name, w.image(name, version), more, period)
}

// source writes the source of an image that answers with its version.
func (w *world) source(version, more string) {
	w.t.Helper()
	src := filepath.Join(w.workspace, "src")
	require.NoError(w.t, copyApp(src))
	containerfile := "FROM scratch\nCOPY app /app\nENV VERSION=" + version + "\n" + more + "\nCMD [\"/app\"]\n"
	require.NoError(w.t, os.WriteFile(filepath.Join(src, "Containerfile"), []byte(containerfile), 0o600))
}

// copyApp copies the test service's program to a directory. All copies have one time,
// so that the layers of all images are the same: it is compressed and pushed once.
func copyApp(dir string) error {
	program, err := os.ReadFile(shared.app)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "app")
	if err := os.WriteFile(file, program, 0o755); err != nil {
		return err
	}
	built := time.Unix(1e9, 0)
	return os.Chtimes(file, built, built)
}

// reply is the result of a command.
type reply struct {
	code           int
	stdout, stderr string
}

func (r reply) String() string {
	return fmt.Sprintf("exit %d\n--- stdout\n%s\n--- stderr\n%s", r.code, r.stdout, r.stderr)
}

// decode decodes stdout, which must be one JSON object.
func (r reply) decode(t *testing.T, out any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(r.stdout), out), r)
}

// mcp runs a command in this process.
func (w *world) mcp(args ...string) reply { return w.mcpUntil(w.t.Context(), args...) }

// mcpUntil runs a command that is interrupted when ctx ends.
func (w *world) mcpUntil(ctx context.Context, args ...string) reply {
	var stderr bytes.Buffer
	return w.mcpTo(ctx, &stderr, args...)
}

// mcpUntilSays runs a command that is interrupted when its stderr has the text.
func (w *world) mcpUntilSays(text string, args ...string) reply {
	ctx, interrupt := context.WithTimeout(w.t.Context(), time.Minute)
	defer interrupt()
	return w.mcpTo(ctx, &trigger{text: text, pull: interrupt}, args...)
}

// trigger calls pull when what is written to it has the text.
type trigger struct {
	printed.Text
	text string
	pull func()
}

func (t *trigger) Write(more []byte) (int, error) {
	n, err := t.Text.Write(more)
	if strings.Contains(t.String(), t.text) {
		t.pull()
	}
	return n, err
}

func (w *world) mcpTo(ctx context.Context, stderr interface {
	io.Writer
	fmt.Stringer
}, args ...string) reply {
	var stdout bytes.Buffer
	app := &cli.App{Stdout: &stdout, Stderr: stderr, Getenv: w.getenv}
	code := app.Run(ctx, append([]string{"--config", w.config()}, args...))
	if err := validate(args, stdout.String()); err != nil {
		w.t.Errorf("mcp %s printed what its schema does not allow: %v\n%s", strings.Join(args, " "), err, &stdout)
	}
	return reply{code, stdout.String(), stderr.String()}
}

// getenv hides the variables of a developer's shell that configure Temporal or mcp,
// and the developer's cache.
func (w *world) getenv(name string) string {
	if name == "XDG_CACHE_HOME" {
		return w.cache()
	}
	if strings.HasPrefix(name, "TEMPORAL_") || strings.HasPrefix(name, "MCP_") {
		return ""
	}
	return os.Getenv(name)
}

// deploy deploys a service, which must succeed or be unchanged, and waits until the
// containers that it replaces are gone.
func (w *world) deploy(service string) workflows.Result {
	w.t.Helper()
	r := w.mcp("deploy", service, "--wait", "--json")
	require.Zero(w.t, r.code, r)
	var result workflows.Result
	r.decode(w.t, &result)
	return result
}

// serviceStatus is the part of mcp status --json that these tests read.
type serviceStatus struct {
	Release    int
	Active     bool
	Dirty      bool
	Pending    bool
	Components []struct {
		DesiredState  string `json:"desired_state"`
		ObservedState string `json:"observed_state"`
		UptimeSeconds int64  `json:"uptime_seconds"`
		Routes        []fleet.Route
		Drift         []string
	}
}

func (w *world) status(service string) serviceStatus {
	w.t.Helper()
	r := w.mcp("status", service, "--json")
	require.Zero(w.t, r.code, r)
	var list []serviceStatus
	r.decode(w.t, &list)
	require.Len(w.t, list, 1)
	return list[0]
}

// routePort is the host port of a service's only route; 0 if it has none now.
func (w *world) routePort(service string) int {
	var list []serviceStatus
	r := w.mcp("status", service, "--json")
	if json.Unmarshal([]byte(r.stdout), &list) != nil || len(list) == 0 {
		return 0
	}
	return list[0].Components[0].Routes[0].HostPort
}

// fetch sends a request to a port, which must answer.
func (w *world) fetch(port int) string {
	w.t.Helper()
	answer, err := ask(port)
	require.NoError(w.t, err)
	return answer
}

// fetchAgain is fetch of a container that an undo has just started again: mcp does not
// wait for its program.
func (w *world) fetchAgain(port int) string {
	w.t.Helper()
	var answer string
	require.Eventually(w.t, func() (answered bool) {
		var err error
		answer, err = ask(port)
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	return answer
}

// temporal is a client of the platform's Temporal.
func (w *world) temporal() client.Client {
	w.t.Helper()
	o, err := shared.platform.Info().Connection()
	require.NoError(w.t, err)
	o.Namespace, o.Logger = w.namespace, sdklog.NewStructuredLogger(quiet)
	c, err := client.Dial(o)
	require.NoError(w.t, err)
	w.t.Cleanup(c.Close)
	return c
}

// untilRunning waits until a workflow runs.
func (w *world) untilRunning(id string) {
	w.t.Helper()
	c := w.temporal()
	require.Eventually(w.t, func() bool {
		described, err := c.DescribeWorkflow(w.t.Context(), id, "")
		return err == nil && described.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	}, time.Minute, 20*time.Millisecond)
}

// queues are the task queues that a workflow's activities ran on.
func (w *world) queues(id, run string) map[string]string {
	w.t.Helper()
	queues := map[string]string{}
	w.eachActivity(id, run, func(activity, queue string, _ []byte) { queues[activity] = queue })
	return queues
}

// eachActivity visits the activities of a run in their order, with their queues
// and inputs.
func (w *world) eachActivity(id, run string, visit func(activity, queue string, input []byte)) {
	w.t.Helper()
	events := w.temporal().GetWorkflowHistory(w.t.Context(), id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(w.t, err)
		if a := event.GetActivityTaskScheduledEventAttributes(); a != nil {
			visit(a.GetActivityType().GetName(), a.GetTaskQueue().GetName(), a.GetInput().GetPayloads()[0].GetData())
		}
	}
}
