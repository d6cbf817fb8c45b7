package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/test/printed"
	"github.com/metacircular/mcp/workflows/tend"
)

// mcpVariable makes this test binary mcp itself.
const mcpVariable = "E2E_IS_MCP"

// process is an mcp in a process of its own.
type process struct {
	w      *world
	cmd    *exec.Cmd
	stdout printed.Text
	stderr printed.Text
	done   chan struct{}
}

// command is mcp with w's configuration.
func (w *world) command(args ...string) *exec.Cmd {
	w.t.Helper()
	self, err := os.Executable()
	require.NoError(w.t, err)
	cmd := exec.Command(self, append([]string{"--config", w.config()}, args...)...)
	cmd.Env = []string{mcpVariable + "=1"}
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); w.getenv(name) != "" {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+w.cache(), "GOGC=100") // a test measures its memory
	return cmd
}

// process starts mcp with w's configuration.
func (w *world) process(args ...string) *process {
	w.t.Helper()
	return w.processIn(nil, args...)
}

// processIn starts mcp with w's configuration and more variables.
func (w *world) processIn(environment []string, args ...string) *process {
	w.t.Helper()
	p := &process{w: w, cmd: w.command(args...), done: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Env, environment...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	require.NoError(w.t, p.cmd.Start())
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // its exit code says it
	}()
	w.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if w.t.Failed() {
			w.t.Logf("mcp %s\n%s%s", strings.Join(args, " "), &p.stdout, &p.stderr)
		}
	})
	return p
}

// worker starts a worker and waits until it is ready.
func (w *world) worker(flags ...string) *process {
	w.t.Helper()
	p := w.process(append([]string{"worker"}, flags...)...)
	require.Eventually(w.t, func() bool { return strings.Contains(p.stderr.String(), "worker ready") }, time.Minute, 50*time.Millisecond)
	return p
}

func (p *process) signal(s syscall.Signal) {
	p.w.t.Helper()
	require.NoError(p.w.t, p.cmd.Process.Signal(s))
}

// code waits for the process's end, and returns its exit code.
func (p *process) code(timeout time.Duration) int {
	p.w.t.Helper()
	select {
	case <-p.done:
	case <-time.After(timeout):
		require.Fail(p.w.t, fmt.Sprintf("still running after %s", timeout))
	}
	return p.cmd.ProcessState.ExitCode()
}

// newNamespace makes w's Temporal namespace, and waits until it can be used.
func (w *world) newNamespace() {
	w.t.Helper()
	c, err := client.NewNamespaceClient(client.Options{HostPort: shared.platform.Info().Temporal()})
	require.NoError(w.t, err)
	defer c.Close()
	require.NoError(w.t, c.Register(w.t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: w.namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	}))
	require.Eventually(w.t, func() bool {
		_, err := w.temporal().DescribeWorkflowExecution(w.t.Context(), "none", "")
		var missing *serviceerror.NotFound // of the workflow, not of its namespace
		return errors.As(err, &missing)
	}, time.Minute, 200*time.Millisecond)
}

// registryTemplate makes a database with the registry's tables, which newRegistry copies:
// that takes a fraction of the time of all migrations.
var registryTemplate sync.Once

// newRegistry makes w a database of its own: a monitor observes every node of its
// registry.
func (w *world) newRegistry() {
	w.t.Helper()
	registryTemplate.Do(func() {
		w.sql("create database migrated")
		w.database = "migrated"
		_, _, err := registry.Migrate(w.t.Context(), w.databaseURL())
		require.NoError(w.t, err)
		w.database = ""
	})
	w.sql(fmt.Sprintf("create database %q template migrated", w.builder))
	w.database = w.builder
	require.NoError(w.t, os.WriteFile(w.postgresURL(), []byte(w.databaseURL()), 0o600))
}

func (w *world) postgresURL() string { return filepath.Join(w.dir, "postgres.url") }

// databaseURL is the address of w's registry.
func (w *world) databaseURL() string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(shared.platform.Info().Dir, "postgres.url"))
	require.NoError(w.t, err)
	address, err := url.Parse(strings.TrimSpace(string(text)))
	require.NoError(w.t, err)
	if w.database != "" {
		address.Path = "/" + w.database
	}
	return address.String()
}

// alone gives w a Temporal namespace, a registry, a node and a builder of its own, whose
// workers are processes of their own: {"--control"}, {"--node", node} and
// {"--builder", builder}. More lines of its configuration may follow; the first
// of them are [build]'s.
func (w *world) alone(more ...string) {
	w.t.Helper()
	w.namespace, w.node = w.builder, w.builder
	w.newNamespace()
	w.newRegistry()
	w.configure(append([]string{
		fmt.Sprintf("services = %q", w.services),
		"[temporal]", fmt.Sprintf("address = %q", shared.platform.Info().Temporal()), encryptionKeys(), fmt.Sprintf("namespace = %q", w.namespace),
		"[postgres]", fmt.Sprintf("url_file = %q", w.postgresURL()),
		"[node]", fmt.Sprintf("socket = %q", shared.platform.Info().Podman), fmt.Sprintf("data = %q", filepath.Join(w.dir, "data")),
		fmt.Sprintf("policy = %q", filepath.Join(shared.platform.Info().Dir, "node-policy.toml")),
		"[image_registry]", fmt.Sprintf("insecure = [%q]", shared.platform.Info().ImageRegistry),
		"[build]", fmt.Sprintf("builder = %q", w.builder),
		fmt.Sprintf("socket = %q", shared.platform.Info().Podman), fmt.Sprintf("logs = %q", filepath.Join(w.dir, "logs")),
	}, more...)...)
	w.t.Cleanup(w.endMonitor)
}

// endMonitor deletes the schedule of w's monitor. It outlives the workers, and would start
// observations until the platform ends.
func (w *world) endMonitor() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{HostPort: shared.platform.Info().Temporal(), Namespace: w.namespace})
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.ScheduleClient().GetHandle(ctx, tend.MonitorID).Delete(ctx) // a world without a control worker has none
}
