package crash

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.temporal.io/sdk/interceptor"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/test/crash/announce"
)

// beMcp is mcp's main, in a process that the harness has started, with one addition: its
// activities are announced.
func beMcp(socket string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app := &cli.App{
		Stdout: os.Stdout, Stderr: os.Stderr, Getenv: getenv,
		Interceptors: []interceptor.WorkerInterceptor{&announce.Announcer{Socket: socket}},
	}
	return app.Run(ctx, os.Args[1:])
}

// configure writes each mcp.toml: the operator's, and one for each role, which has joined.
// That of a node names the gateways, and nothing else of the control plane.
func (r *rig) configure(ctx context.Context) error {
	images := fmt.Sprintf("[image_registry]\ninsecure = [%q]\n", r.image)
	services := fmt.Sprintf("services = %q\n", r.path("services"))
	type mcp struct {
		role       identity.Role
		name       string
		head, tail string
	}
	all := map[string]mcp{
		"mcp":            {identity.Operator, "anna", services, "[build]\nbuilder = \"bob\"\n"},
		theControlWorker: {identity.Control, "one", "", fmt.Sprintf("[ports]\nrest = \"2s\"\n[postgres]\nurl = %q\n", r.postgres)},
		theBuilder:       {identity.Builder, "bob", services, fmt.Sprintf("[build]\nsocket = %q\nlogs = %q\n", r.nodes[1].proxy.socket, r.path("builds"))},
	}
	for _, m := range r.nodes {
		all[workerOf(m.name)] = mcp{identity.Node, m.name, "", fmt.Sprintf("[node]\nsocket = %q\npublish = %q\ndata = %q\npolicy = %q\n",
			m.proxy.socket, m.address, r.path("data-"+m.name), r.path("node-policy.toml"))}
	}
	rules := fmt.Appendf(nil, "mounts.roots = [%q]\n", r.path("volumes"))
	if err := os.WriteFile(r.path("node-policy.toml"), rules, 0o600); err != nil {
		return err
	}
	for name, of := range all {
		door, err := r.join(ctx, of.role, of.name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(r.config(name), []byte(of.head+door+images+of.tail), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// config is the mcp.toml of a role; that of "mcp" is the operator's.
func (r *rig) config(role string) string { return r.path(role + ".toml") }

// startWorkers starts the roles, each in a process of its own.
func (r *rig) startWorkers(ctx context.Context) error {
	roles := map[string][]string{
		theControlWorker: {"--control"},
		theBuilder:       {"--builder", "bob", "--workspace", r.path("workspace")},
	}
	hosts := map[string]*host{}
	for _, m := range r.nodes {
		roles[workerOf(m.name)], hosts[workerOf(m.name)] = []string{"--node", m.name}, m.host
	}
	// The control worker first: the others need its tables.
	names := slices.Sorted(maps.Keys(roles))
	for _, name := range append([]string{theControlWorker}, names...) {
		if r.parts[name] != nil {
			continue
		}
		r.parts[name] = r.role(name, hosts[name], roles[name])
		if err := r.parts[name].up(ctx); err != nil {
			return err
		}
	}
	for _, name := range names {
		err := await(30*time.Second, name+" is ready", func() bool {
			text, _ := os.ReadFile(r.path(name + ".log"))
			return bytes.Contains(text, []byte("worker ready"))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// role is a worker; on is the host it runs on, nil for this machine itself.
func (r *rig) role(name string, on *host, flags []string) *part {
	return &part{name: name, start: func(context.Context) (process, error) {
		path, args := self(), append([]string{"--config", r.config(name), "worker"}, flags...)
		if on != nil {
			path, args = on.inside(path, args...)
		}
		return parts.Start(parts.Command{
			Name: name, Path: path, Args: args,
			Env: []string{r.announcing()}, Dir: r.dir, LogFile: r.path(name + ".log"),
		})
	}}
}

// announcing has a process announce its activities.
func (r *rig) announcing() string { return announce.Variable + "=" + r.path("announce.sock") }

// command is a verb that an operator runs, as a process.
type command struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	done           chan struct{}
}

// mcp starts a verb.
func (r *rig) mcp(args ...string) (*command, error) {
	c := &command{done: make(chan struct{})}
	c.cmd = exec.Command(self(), append([]string{"--config", r.config("mcp")}, args...)...)
	c.cmd.Env = append(os.Environ(), r.announcing())
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = r.dir, &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // its error is the exit code
	}()
	return c, nil
}

// PID, Done and Stop make a command a process like the rig's.
func (c *command) PID() int              { return c.cmd.Process.Pid }
func (c *command) Done() <-chan struct{} { return c.done }

// Stop ends it at once.
func (c *command) Stop() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// code is the exit code of a command that has ended; -1 if it was killed.
func (c *command) code() int { return c.cmd.ProcessState.ExitCode() }

// run runs a verb, which must succeed.
func (r *rig) run(args ...string) error {
	c, err := r.mcp(args...)
	if err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-time.After(timeout):
		c.Stop()
	}
	if c.code() != 0 {
		return fmt.Errorf("mcp %s: exit %d: %s", strings.Join(args, " "), c.code(), c.stderr.String())
	}
	return nil
}

// self is the path of this program.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// getenv hides the variables of a developer's shell that configure mcp.
func getenv(name string) string {
	if strings.HasPrefix(name, "TEMPORAL_") || strings.HasPrefix(name, "MCP_") {
		return ""
	}
	return os.Getenv(name)
}
